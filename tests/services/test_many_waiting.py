"""Frequent queries read no more rows with many waiting requests than with few."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import pytest
from sqlalchemy import Connection, insert, select, update

from app.db import jobs as queries
from app.db.tables import jobs
from app.services.generation import Holder
from app.services.waiting import COUNTED_AHEAD
from tests.support.harness import Harness
from tests.support.statements import recorded_statements

T = TypeVar("T")

FEW, MANY = 20, 2_000
UNSERVED = "unserved-model"
# Indexes of open requests, which stay small however long the history is; those that find a row by its id, and the first or
# last of a user's requests.
OPEN = {index.name for index in jobs.indexes if index.dialect_options["postgresql"]["where"] is not None}
SMALL = OPEN | {"pk_jobs", "ix_jobs_user", "ix_jobs_user_status"}


def wait(harness: Harness, count: int) -> None:
    """Add `count` waiting requests of as many users, for a model that no extension has served for long; all but one are new."""
    first = harness.submit(model=UNSERVED)
    harness.sweep()
    harness.leave_unserved(harness.submit(model=UNSERVED))

    def work(connection: Connection) -> None:
        row = connection.execute(select(jobs).where(jobs.c.id == first.id)).mappings().one()
        copies = [{**row, "id": f"{n:036}", "user_id": f"u{n}", "virtual_start": n} for n in range(1, count)]
        connection.execute(insert(jobs), copies)
        connection.exec_driver_sql("ANALYZE jobs")

    harness.bench.database.write(lambda tx: work(tx.connection))


def plans_of(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A plan of PostgreSQL and all plans nested in it."""
    yield node
    for part in node.get("Plans", ()):
        yield from plans_of(part)


def in_a_transaction(harness: Harness, work: Callable[[Connection], T]) -> T:
    """Run it inside a transaction: settings of PostgreSQL's planner last as long as one, and the service's reads have none."""
    return harness.bench.database.write(lambda tx: work(tx.connection))


def rows_looked_at(connection: Connection, statement: str, values: Any) -> int:
    """How many rows PostgreSQL reads, including those it filters out."""
    connection.exec_driver_sql("SET LOCAL enable_seqscan = off")  # a small table would be read as a whole
    scans = [plan for plan in plans_of(explained(connection, statement, values)) if plan.get("Relation Name") == "jobs"]
    return sum(round(scan["Actual Rows"] + scan.get("Rows Removed by Filter", 0)) for scan in scans)


def explained(connection: Connection, statement: str, values: Any) -> dict[str, Any]:
    """The plan that PostgreSQL executed, with its row counts."""
    plans = connection.exec_driver_sql(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", values).scalar_one()
    found: dict[str, Any] = plans[0]["Plan"]
    return found


def steps_made(connection: Connection, statement: str, values: Any) -> int:
    """How many instructions SQLite's virtual machine executes, in hundreds."""
    made = 0

    def step() -> None:
        nonlocal made
        made += 1

    driver: Any = connection.connection.driver_connection
    driver.set_progress_handler(step, 100)
    connection.exec_driver_sql(statement, values).all()
    driver.set_progress_handler(None, 0)
    return made


@pytest.fixture(autouse=True)
def _the_line_is_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the length of the queue from being counted, which happens at most once a second: a slow submission would execute
    that query too (tests/services/test_admission.py)."""
    monkeypatch.setattr(queries, "count_waiting", lambda *_: 0)


def questions_of(asked: Callable[[], object]) -> dict[str, Any]:
    """The queries on jobs that this executes, and their values."""
    with recorded_statements("FROM jobs") as statements:
        asked()
    return dict(each for each in statements if each[0].startswith(("SELECT", "WITH")))


def kept_plan(connection: Connection, statement: str) -> str:
    """The generic plan, which ignores the values: PostgreSQL caches generic plans and makes others for each execution."""
    connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
    names = list(dict.fromkeys(re.findall(r"%\((\w+)\)s", statement)))
    numbered = re.sub(r"%\((\w+)\)s", lambda found: f"${1 + names.index(found[1])}", statement)
    return "\n".join(connection.exec_driver_sql(f"EXPLAIN (GENERIC_PLAN) {numbered}").scalars())


def work_for(harness: Harness, asked: Callable[[], object]) -> dict[str, int]:
    """The cost of each query on jobs that this executes."""
    questions = questions_of(asked)
    cost = steps_made if harness.bench.database.reader.dialect.name == "sqlite" else rows_looked_at

    def costs(connection: Connection) -> dict[str, int]:
        return {statement: cost(connection, statement, values) for statement, values in questions.items()}

    return in_a_transaction(harness, costs)


QUERIES: dict[str, Callable[[Harness], object]] = {
    "the sweep": lambda harness: harness.sweep(),
    "the hand-off": lambda harness: harness.assign(),
    "a download": lambda harness: harness.run_downloads(),
    "an order": lambda harness: harness.submit(),
    "a heartbeat": lambda harness: harness.heartbeat(Holder("e1", "e1-socket-1")),
}


@pytest.mark.parametrize("question", list(QUERIES))
def test_no_query_reads_all_waiting_jobs(harness: Harness, question: str) -> None:
    harness.connect("e1", "dall-e-3")
    harness.submit()
    wait(harness, MANY)
    costs = work_for(harness, lambda: QUERIES[question](harness))
    assert costs
    assert {statement: cost for statement, cost in costs.items() if cost > FEW} == {}


def test_a_submission_reads_few_waiting_jobs_of_its_user(harness: Harness) -> None:
    for _ in range(45 * FEW):
        harness.submit("ann")
    harness.bench.database.write(lambda tx: tx.connection.exec_driver_sql("ANALYZE jobs"))
    costs = work_for(harness, lambda: harness.submit("ann"))
    # its position, which is a part of the answer, is counted up to a limit
    [position] = [statement for statement in costs if statement.startswith("SELECT count(*)")]
    assert costs.pop(position) <= COUNTED_AHEAD
    assert costs
    assert {statement: cost for statement, cost in costs.items() if cost > FEW} == {}


def test_a_submission_reads_few_jobs_even_with_outdated_statistics(harness: Harness) -> None:
    def all_are_done(connection: Connection) -> None:
        connection.exec_driver_sql("ANALYZE jobs")
        connection.execute(update(jobs).values(status="completed"))

    for _ in range(2 * FEW):
        harness.submit("ann")
    in_a_transaction(harness, all_are_done)
    costs = work_for(harness, lambda: harness.submit("ann"))
    assert costs
    assert {statement: cost for statement, cost in costs.items() if cost > FEW} == {}


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize("question", list(QUERIES))
def test_postgresql_can_keep_its_plans(harness: Harness, question: str) -> None:
    harness.connect("e1", "dall-e-3")
    harness.submit()
    questions = questions_of(lambda: QUERIES[question](harness))
    plans = in_a_transaction(harness, lambda c: [kept_plan(c, question) for question in questions])
    assert plans
    assert [plan for plan in plans if not set(re.findall(r"\w+(?= on jobs)", plan)) <= SMALL] == []


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_postgresql_finds_the_right_index_without_statistics(harness: Harness) -> None:
    """Without statistics, or with outdated ones, it may prefer to read few rows by another index and sort them."""
    holder = harness.connect("e1", "dall-e-3")
    with recorded_statements("") as statements:
        job = harness.submit_and_assign()
        harness.report_image(holder, job)
    asked = dict.fromkeys(
        text
        for text, _ in statements
        if text.startswith(("SELECT", "UPDATE")) and "ORDER BY queue_pauses" not in text  # as many rows as pauses
    )
    plans = in_a_transaction(harness, lambda c: [kept_plan(c, statement) for statement in asked])
    assert "ix_extensions_free" in "".join(plans)
    assert [plan for plan in plans if "Sort" in plan or "ix_jobs_lease_until" in plan] == []


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_postgresql_estimates_that_few_requests_are_overdue(harness: Harness) -> None:
    """Without an estimate it assumes a third of all rows, and with very many it would read the whole table."""
    wait(harness, MANY)
    [(question, values)] = [each for each in questions_of(harness.sweep).items() if "deadline_at <=" in each[0]]

    def explained(connection: Connection) -> dict[str, Any]:
        plan: dict[str, Any] = connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {question}", values).scalar_one()[0]
        return plan["Plan"]

    expected = [plan["Plan Rows"] for plan in plans_of(harness.bench.database.read(explained)) if "Index Name" in plan]
    assert expected
    assert max(expected) < FEW
