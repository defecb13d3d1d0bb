"""The twenty questions of docs/reports.md, against a plain aggregate over the same rows."""

from __future__ import annotations

import time
from collections.abc import Callable

from sqlalchemy import Connection

from app.db.engine import report_engine
from bench.environment import fresh, scratch
from bench.fill_reports import fill
from bench.measures.turns import Turn, in_turns, values
from bench.plan import Plan
from bench.results import Measure, Row
from tests.support.report_questions import questions

REQUESTS = (1_000_000, 50_000)  # usually, and quick
REPEATS = 3
BUDGET = 3.0

EXPLANATION = (
    "Each question is asked by the query of docs/reports.md. The floor is count, minimum, maximum and average of one duration or size, by "
    "SQL on the tables themselves: of the rows that the question is about, grouped as the view is, joined as it must be to find "
    "them. The query and its floor run on the same connection in turn. Every request has about four events, a picture and a delivery "
    "to a webhook. No index was added for reports."
)

_DAY, _TOOK = "created_at / 86400000", "finished_at - created_at"
_HANDED_OUT = (
    "events AS handed_out LEFT JOIN events AS ended ON ended.job_id = handed_out.job_id AND ended.seq = handed_out.seq + 1"
    " WHERE handed_out.type = 'ImageGenerationAssignedEvent'"
)
_EXTENSION = {
    "sqlite": "json_extract(handed_out.data, '$.extension_id')",
    "postgresql": "handed_out.data ->> 'extension_id'",
}
_BUSY = "ended.at - handed_out.at"


def floors(dialect: str) -> list[str]:
    """A plain aggregate for each question, in the order of the page."""
    requests = "jobs WHERE status = 'completed'"
    failed = _plain(_TOOK, "jobs WHERE status = 'failed'", _DAY, "lower(model)", "error_code")
    return [
        _plain(_TOOK, "jobs", _DAY),
        _plain(_TOOK, "jobs", "lower(model)", "operation"),
        _plain(_TOOK, requests, _DAY, "lower(model)"),
        _plain(_TOOK, "jobs", _DAY),
        _plain(_TOOK, "jobs", "created_at / 3600000"),
        _plain(_TOOK, "jobs", "user_id"),
        _plain(_TOOK, "jobs", _DAY, "user_id"),
        _plain(_TOOK, "jobs WHERE style IS NOT NULL", "style"),
        _plain(_TOOK, requests),
        _plain("created_at", "jobs WHERE status = 'accepted'"),
        _plain(_TOOK, "jobs", _DAY, "status"),
        failed,
        failed,
        _plain(_TOOK, "batches"),
        _plain(_TOOK, "batches", "user_id"),
        _plain(_BUSY, _HANDED_OUT, _EXTENSION[dialect]),
        _plain(_BUSY, _HANDED_OUT, "ended.type"),
        _plain("duration_ms", "webhook_deliveries", "endpoint_id"),
        _plain("bytes", "images JOIN jobs ON jobs.id = images.job_id", "user_id"),
        _plain(_TOOK, "jobs WHERE cache IS NOT NULL", _DAY, "lower(model)"),
    ]


def _plain(value: str, rows: str, *groups: str) -> str:
    figures = f"count(*), min({value}), max({value}), avg({value})"
    by = f" GROUP BY {', '.join(groups)}" if groups else ""
    return f"SELECT {', '.join([*groups, figures])} FROM {rows}{by}"


def measure(plan: Plan) -> Measure:
    """The time of each question."""
    result = Measure("reports", "Reports", EXPLANATION)
    for database in plan.databases:
        with scratch() as folder, fresh(database, folder) as url:
            _on(database, url, plan, result)
    return result


def _on(database: str, url: str, plan: Plan, result: Measure) -> None:
    count = plan.pick(*REQUESTS)
    fill(url, count)
    result.notes.append(f"{database}: {count:,} requests.")
    engine = report_engine(url)
    try:
        with engine.connect() as connection:
            for (question, query), floor in zip(questions().items(), floors(database), strict=True):
                asked, plain = in_turns(REPEATS, asking(connection, query), asking(connection, floor))
                result.rows.append(
                    Row(f"{database}: {question}", "ms", values(asked, "ms"), values(plain, "ms"), BUDGET)
                )
    finally:
        engine.dispose()


def asking(connection: Connection, query: str) -> Callable[[], Turn]:
    def ask() -> Turn:
        begun = time.perf_counter()
        connection.exec_driver_sql(query).all()
        return Turn({"ms": 1e3 * (time.perf_counter() - begun)})

    return ask
