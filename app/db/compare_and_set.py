"""The statement of a compare-and-set: an UPDATE that changes a job only where it still is as the caller saw it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, ColumnElement, case, update
from sqlalchemy.sql.dml import ReturningUpdate

from app.db.clock import asked_ms, now_ms
from app.db.tables import jobs, one_of
from app.domain.states import TABLE, Step


@dataclass(frozen=True, slots=True)
class AtLeast:
    """As a new value: `value`, or the present one where that is more."""

    value: int


@dataclass(frozen=True, slots=True)
class FromNow:
    """As a new value: the moment `value` ms from now, by the database's clock."""

    value: int


@dataclass(frozen=True, slots=True)
class FromNowCapped:
    """As a new value: the moment `value` ms from now, or the end of the attempt where that is earlier."""

    value: int


NOW = FromNow(0)


def statement(job_id: str, step: Step, expected: Mapping[str, Any], values: Mapping[str, Any]) -> ReturningUpdate[Any]:
    """The UPDATE that takes `step` where the job's columns are as `expected`; it returns the job's columns."""
    transition = TABLE[step]
    return (
        update(jobs)
        .where(
            jobs.c.id == job_id,
            one_of(*sorted(transition.sources)),
            *(jobs.c[name] == value for name, value in expected.items()),
        )
        .values(
            status=transition.target,
            version=jobs.c.version + 1,
            last_event=jobs.c.last_event + (1 if transition.event else 0),
            updated_at=now_ms(),
            **{name: _new(jobs.c[name], value) for name, value in values.items()},
        )
        .returning(*jobs.c)  # the columns of a `Job`, in the same order
    )


def capped(moment: ColumnElement[int] | int) -> ColumnElement[int]:
    """That moment, or the end of the attempt where that is earlier."""
    return earlier(jobs.c.attempt_until, moment)


def earlier(one: ColumnElement[Any], other: ColumnElement[int] | int) -> ColumnElement[int]:
    """The lesser of the two."""
    return case((one < other, one), else_=other)


def _new(column: Column[Any], value: Any) -> Any:
    if isinstance(value, AtLeast):
        return case((column < value.value, value.value), else_=column)
    if isinstance(value, FromNow):
        return asked_ms() + value.value  # the same moment for all values of a statement
    if isinstance(value, FromNowCapped):
        return capped(asked_ms() + value.value)
    return value
