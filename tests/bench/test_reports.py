"""The measure of reports: every question and its floor have something to count in a filled database."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
from sqlalchemy import Connection, make_url

from app.db.engine import Database
from bench.fill_reports import fill
from bench.measures import reports
from bench.measures.turns import Turn
from bench.plan import Plan
from tests.support.report_questions import questions

FEW = 2_000


def rows(query: str, connection: Connection) -> int:
    return len(connection.exec_driver_sql(query).all())


def test_every_question_and_its_floor_find_rows(database: Database, database_url: str) -> None:
    fill(database_url, FEW)
    floors = reports.floors(make_url(database_url).get_backend_name())
    for (question, query), floor in zip(questions().items(), floors, strict=True):
        assert database.read(partial(rows, query)) > 0, question
        assert database.read(partial(rows, floor)) > 0, question


def test_a_question_that_takes_longer_than_three_times_its_floor_is_over_its_budget(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def asking(_connection: Connection, query: str) -> Callable[[], Turn]:
        return lambda: Turn({"ms": 4.0 if "users" in query else 2.0 if "report_" in query else 1.0})

    monkeypatch.setattr(reports, "REQUESTS", (FEW, FEW))
    monkeypatch.setattr(reports, "asking", asking)
    held = {row.label: row.held for row in reports.measure(Plan(database="sqlite")).rows}
    assert len(held) == 20
    assert not held["sqlite: Who are the heaviest users?"]
    assert held["sqlite: Where does the time go?"]
