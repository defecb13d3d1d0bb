"""The compare-and-set: an UPDATE that changes a job only if it is still in the state that the caller read."""

from collections.abc import Mapping
from functools import lru_cache
from types import NoneType
from typing import Any

from sqlalchemy import Column, ColumnElement, Update, bindparam, case, literal, update

from app.db import webhooks
from app.db.clock import now_ms, statement_now_ms
from app.db.tables import jobs, one_of
from app.domain.states import TABLE, Step
from app.domain.webhooks import event_of

Form = tuple[tuple[str, type], ...]  # columns and the types of their values


class AtLeast(int):
    """A new value: this one, or the current one if that is greater."""


class FromNow(int):
    """A new value: this many ms from now, by the database's clock."""


class FromNowCapped(int):
    """A new value: this many ms from now, or the end of the attempt if that is earlier."""


NOW = FromNow(0)


def statement(step: Step, expected: Mapping[str, Any], values: Mapping[str, Any]) -> tuple[Update, dict[str, Any]]:
    """The UPDATE that takes `step` if the job's columns are as `expected`, and its parameters without `job_id`.

    The UPDATE returns the job's columns.
    """
    parameters = {f"expected_{name}": value for name, value in expected.items()}
    parameters |= {f"new_{name}": value for name, value in values.items()}
    return _built(step, _form(expected), _form(values)), parameters


def step_alone(step: Step) -> Update:
    """The UPDATE that takes `step` with every job that is in one of its source states; add what else it is about."""
    transition = TABLE[step]
    return (
        update(jobs)
        .where(one_of(*sorted(transition.sources)))
        .values(
            status=transition.target,
            version=jobs.c.version + 1,
            last_event=jobs.c.last_event + (1 if transition.event else 0),
            updated_at=now_ms(),
        )
    )


def capped(moment: ColumnElement[int] | int) -> ColumnElement[int]:
    """This time, or the end of the attempt if that is earlier."""
    return earlier(jobs.c.attempt_until, moment)


def earlier(one: ColumnElement[Any], other: ColumnElement[int] | int) -> ColumnElement[int]:
    """The earlier of two times."""
    return case((one < other, one), else_=other)


def _form(values: Mapping[str, Any]) -> Form:
    return tuple((name, type(value)) for name, value in values.items())


@lru_cache(maxsize=256)
def _built(step: Step, expected: Form, values: Form) -> Update:
    """Cached for each of about thirty forms: building the statement takes ten times as long as executing it."""
    return (
        step_alone(step)
        .where(jobs.c.id == bindparam("job_id"), *(_condition(jobs.c[name], kind) for name, kind in expected))
        .values({name: _new_value(jobs.c[name], kind) for name, kind in values})
        .returning(*jobs.c, _webhooks_want(step))  # the fields of a `Job`, in the same order
    )


def _webhooks_want(step: Step) -> ColumnElement[Any]:
    """Whether a webhook is to be told of the step. Asked here, it costs no statement of its own."""
    event = event_of(step)
    return literal(value=False) if event is None else webhooks.of_job(event)


def _condition(column: Column[Any], kind: type) -> ColumnElement[bool]:
    if kind is NoneType:
        return column.is_(None)
    return column == bindparam(f"expected_{column.name}", type_=column.type)


def _new_value(column: Column[Any], kind: type) -> ColumnElement[Any]:
    value: ColumnElement[Any] = bindparam(f"new_{column.name}", type_=column.type)
    if kind is AtLeast:
        return case((column < value, value), else_=column)
    if kind is FromNow:
        return statement_now_ms() + value  # the same moment for all values of a statement
    return capped(statement_now_ms() + value) if kind is FromNowCapped else value
