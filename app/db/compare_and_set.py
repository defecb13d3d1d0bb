"""The statement of a compare-and-set, built once for each form of it: the same steps are taken millions of times."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, bindparam, case, update

from app.db.clock import asked_ms, now_ms
from app.db.prepared import Prepared
from app.db.tables import jobs, one_of
from app.domain.states import TABLE, Step

FORMS = 256  # some thirty are in use; bounded all the same

Form = tuple[tuple[str, type], ...]


@dataclass(frozen=True, slots=True)
class AtLeast:
    """As a new value: `value`, or what is there already where that is more."""

    value: int


@dataclass(frozen=True, slots=True)
class FromNow:
    """As a new value: the moment so many ms after now, by the database's clock, which nobody has to ask first."""

    value: int


@dataclass(frozen=True, slots=True)
class FromNowCapped:
    """As a new value: the moment so many ms after now, or the end of the attempt where that is earlier."""

    value: int


NOW = FromNow(0)


def statement(step: Step, held: Mapping[str, Any], values: Mapping[str, Any]) -> tuple[Prepared, dict[str, Any]]:
    """The UPDATE that takes `step`, with its parameters beside `job_id`; it returns the job's columns."""
    built = _built(step, _form(held), _form(values))
    parameters = {f"held_{name}": _plain(value) for name, value in held.items()}
    return built, parameters | {f"new_{name}": _plain(value) for name, value in values.items()}


def capped(moment: ColumnElement[int] | int) -> ColumnElement[int]:
    """That moment, or the end of the attempt where that is earlier."""
    return earlier(jobs.c.attempt_until, moment)


def earlier(one: ColumnElement[Any], other: ColumnElement[int] | int) -> ColumnElement[int]:
    """Whichever of the two is less."""
    return case((one < other, one), else_=other)


@lru_cache(FORMS)
def _built(step: Step, held: Form, values: Form) -> Prepared:
    transition = TABLE[step]
    conditions = [_condition(name, kind) for name, kind in held]
    return Prepared(
        update(jobs)
        .where(jobs.c.id == bindparam("job_id"), one_of(*sorted(transition.sources)), *conditions)
        .values(
            status=transition.target,
            version=jobs.c.version + 1,
            last_event=jobs.c.last_event + (1 if transition.event else 0),
            updated_at=now_ms(),
            **{name: _value(name, kind) for name, kind in values},
        )
        .returning(*jobs.c)  # the columns of a `Job`, in the same order
    )


def _form(said: Mapping[str, Any]) -> Form:
    return tuple((name, type(value)) for name, value in said.items())


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, AtLeast | FromNow | FromNowCapped) else value


def _condition(name: str, kind: type) -> ColumnElement[bool]:
    column = jobs.c[name]
    if kind is type(None):
        return column.is_(None)
    return column == bindparam(f"held_{name}", type_=column.type)


def _value(name: str, kind: type) -> ColumnElement[Any]:
    column = jobs.c[name]
    told: ColumnElement[Any] = bindparam(f"new_{name}", type_=column.type)
    if kind is AtLeast:
        return case((column < told, told), else_=column)
    if kind is FromNow:
        return asked_ms() + told  # the same moment for all values of a statement
    return capped(asked_ms() + told) if kind is FromNowCapped else told
