"""The views of reports: the columns that docs/reports.md describes, and the same numbers on both databases."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime
from functools import partial
from itertools import pairwise
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

from app.db import reports
from app.db.engine import Database, Transaction
from app.db.migrate import FOLDER, is_current, upgrade
from app.db.tables import batches, events, images, jobs
from tests.support.report_data import DAY, HOUR, START, History
from tests.support.report_questions import columns, questions

HISTORY = History()
REQUESTS = HISTORY.rows[jobs]
Row = dict[str, Any]
Answer = list[tuple[Any, ...]]


def day(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).date().isoformat()


def time(ms: int | None) -> str | None:
    return None if ms is None else datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]


def plain(value: Any) -> Any:
    """A value of either database: times as SQLite writes them, numbers as numbers."""
    if isinstance(value, datetime):
        return time(round(value.timestamp() * 1000))
    if isinstance(value, date):
        return value.isoformat()
    return value if value is None or isinstance(value, str) else pytest.approx(float(value), rel=1e-9)


def grouped(rows: Iterable[Row], key: Callable[[Row], Any]) -> dict[Any, list[Row]]:
    found: defaultdict[Any, list[Row]] = defaultdict(list)
    for row in rows:
        found[key(row)].append(row)
    return dict(sorted(found.items()))


def mean(values: Iterable[float | None]) -> float | None:
    """The average of ms, in seconds; of those that there are."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) / 1000 if known else None


def log(job: Row) -> list[Row]:
    return [event for event in HISTORY.rows[events] if event["job_id"] == job["id"]]


def waiting(job: Row) -> int | None:
    starts = [event["at"] for event in log(job) if event["type"] == "ImageGenerationAssignedEvent"]
    return starts[0] - job["created_at"] if starts else None


def generating(job: Row) -> int | None:
    delivered = [event["at"] for event in log(job) if event["type"] == "ImageDownloadStartedEvent"]
    return delivered[-1] - job["started_at"] if delivered else None


def downloading(job: Row) -> int | None:
    delivered = [event["at"] for event in log(job) if event["type"] == "ImageDownloadStartedEvent"]
    return job["finished_at"] - delivered[-1] if delivered and job["finished_at"] else None


def total(job: Row) -> int:
    return int(job["finished_at"] - job["created_at"])


def count(rows: Iterable[Row], status: str) -> int:
    return sum(row["status"] == status for row in rows)


def of_status(status: str) -> list[Row]:
    return [job for job in REQUESTS if job["status"] == status]


def operation(job: Row) -> str:
    return job["operation"].removeprefix("#") or "create"


def outcome(job: Row) -> str:
    return "open" if job["finished_at"] is None else "cached" if job["cached_from"] else job["status"]


def stage(job: Row) -> str:
    return "downloading" if job["generated_at"] else "generating" if job["started_at"] else "waiting"


def nearest_rank(jobs_of_group: list[Row], percent: int) -> float:
    ordered = sorted(map(total, jobs_of_group))
    return ordered[math.ceil(percent * len(ordered) / 100) - 1] / 1000


def attempts() -> list[Row]:
    """Each hand-off, with the event that ended it, and what became of what was delivered."""
    found = []
    for job in REQUESTS:
        for (handed, ended), after in zip(pairwise(log(job)), [*log(job)[2:], None], strict=False):
            if handed["type"] == "ImageGenerationAssignedEvent":
                last = after if ended["type"] == "ImageDownloadStartedEvent" else ended
                name = last["type"].removeprefix("ImageGeneration").removesuffix("Event").lower()
                became = "completed" if name == "imagegenerated" else "rejected" if last is after else name
                found.append(
                    {
                        "extension": handed["data"]["extension_id"],
                        "outcome": became,
                        "code": last["data"].get("code"),
                        "at": handed["at"],
                        "busy": ended["at"] - handed["at"],
                    }
                )
    return found


def extensions() -> Answer:
    answer: Answer = []
    for number, name in enumerate(["chrome-1", "chrome-2", "node-1", "idle-1"]):
        own = [each for each in attempts() if each["extension"] == name]
        judged = [each for each in own if each["outcome"] != "cancelled"]
        reliability = sum(each["outcome"] == "completed" for each in judged) / len(judged) if judged else None
        observed = sum(each["busy"] for each in own if each["at"] >= START + number * HOUR)
        capacity = (3 * DAY - number * HOUR) * (1 + number)
        busy = sum(each["busy"] for each in own) / 1000
        answer.append((name, len(own), reliability, busy, observed / capacity))
    return sorted(answer)


def errors(key: Callable[[Row], tuple[str, ...]]) -> Answer:
    return [(*each, number) for each, number in Counter(map(key, of_status("failed"))).items()]


def storage() -> Answer:
    answer: Answer = []
    for user, owned in grouped(REQUESTS, lambda job: job["user_id"]).items():
        removed_at = {job["id"]: job["pictures_removed_at"] for job in owned}
        stored = [each for each in HISTORY.rows[images] if each["job_id"] in removed_at]
        there = [each["bytes"] for each in stored if removed_at[each["job_id"]] is None]
        uploaded = 777 if user in {"ann", "bob", "carl"} else 0
        answer.append((user, len(there), len(stored) - len(there), sum(there) + uploaded))
    return sorted(answer, key=lambda row: -row[3])


def webhooks() -> Answer:
    answer: Answer = []
    for name in ("hook-0", "hook-1", "hook-2"):
        own = [each for each in HISTORY.deliveries if each["endpoint_id"] == name]
        sent = [each for each in own if each["status"] == "delivered"]
        delay = mean(each["finished_at"] - each["occurred_at"] for each in sent)
        last = max((each["finished_at"] for each in sent), default=None)
        answer.append((name, "hooks.example:443", len(own), count(own, "failed"), delay, time(last)))
    return sorted(answer, key=lambda row: (-row[3], row[0]))


BY_DAY = grouped(REQUESTS, lambda job: day(job["created_at"]))
BY_MODEL = grouped(REQUESTS, lambda job: (job["model"].lower(), operation(job)))
COMPLETED = of_status("completed")
# What the queries of the page answer, in its order, computed from the rows without SQL.
EXPECTED: list[Callable[[], Answer]] = [
    lambda: [(each, len(of), count(of, "failed")) for each, of in BY_DAY.items()],
    lambda: sorted(
        ((*k, len(of), mean(total(job) for job in of if job["status"] == "completed")) for k, of in BY_MODEL.items()),
        key=lambda row: -(row[3] or 0),
    ),
    lambda: [
        (*each, len(of), *(nearest_rank(of, percent) for percent in (50, 90, 99)))
        for each, of in grouped(COMPLETED, lambda job: (day(job["created_at"]), job["model"].lower())).items()
    ],
    lambda: [
        (each, mean(map(waiting, of)), mean(map(generating, of)), mean(map(downloading, of)))
        for each, of in BY_DAY.items()
    ],
    lambda: sorted(
        Counter((job["created_at"] // HOUR) % 24 for job in REQUESTS).items(), key=lambda row: (-row[1], row[0])
    ),
    lambda: sorted(
        (
            (user, len(of), count(of, "completed"), time(max(job["created_at"] for job in of)))
            for user, of in grouped(REQUESTS, lambda job: job["user_id"]).items()
        ),
        key=lambda row: (-row[1], row[0]),
    ),
    lambda: [(each, len({job["user_id"] for job in of})) for each, of in BY_DAY.items()],
    lambda: sorted(
        (
            (style, len(of), count(of, "failed"))
            for style, of in grouped([job for job in REQUESTS if job["style"]], lambda job: job["style"]).items()
        ),
        key=lambda row: (-row[1], row[0]),
    ),
    lambda: sorted(
        (
            (job["id"], job["prompt"], job["attempt"], (waiting(job) or 0) / 1000, total(job) / 1000)
            for job in COMPLETED
        ),
        key=lambda row: (-row[4], row[0]),
    )[:20],
    lambda: [(job["id"], job["user_id"], time(job["created_at"])) for job in of_status("accepted")],
    lambda: [
        (*each, len(of), None if each[1] == "open" else max(map(total, of)) / 1000)
        for each, of in grouped(REQUESTS, lambda job: (day(job["created_at"]), outcome(job))).items()
    ],
    lambda: sorted(errors(lambda job: (job["error_code"],)), key=lambda row: (-row[1], row[0])),
    lambda: sorted(errors(lambda job: (job["model"].lower(), stage(job)))),
    lambda: sorted(
        (
            (each["id"], each["name"], each["total"], each["failed"])
            for each in HISTORY.rows[batches]
            if each["failed"] > 0
        ),
        key=lambda row: (-row[3], row[0]),
    ),
    lambda: [
        (
            user,
            len(of),
            sum(each["total"] for each in of),
            mean(each["finished_at"] - each["created_at"] for each in of),
        )
        for user, of in grouped(
            [each for each in HISTORY.rows[batches] if each["finished_at"]], lambda each: each["user_id"]
        ).items()
    ],
    extensions,
    lambda: [
        (*each, len(of), mean(attempt["busy"] for attempt in of))
        for each, of in grouped(
            [attempt for attempt in attempts() if attempt["code"]],
            lambda attempt: (attempt["code"], attempt["outcome"]),
        ).items()
    ],
    webhooks,
    storage,
    lambda: [
        (model, len(of), sum(job["cached_from"] is not None for job in of))
        for model, of in grouped([job for job in REQUESTS if job["cache"]], lambda job: job["model"].lower()).items()
    ],
]


def answer(query: str, connection: Connection) -> list[Any]:
    return list(connection.exec_driver_sql(query).all())


def test_the_twenty_questions_have_the_same_answers_on_both_databases(database: Database) -> None:
    asked = questions()
    assert len(asked) == len(EXPECTED) == 20
    HISTORY.insert(database)
    for (question, query), expected in zip(asked.items(), EXPECTED, strict=True):
        found = database.read(partial(answer, query))
        assert found, question
        assert [tuple(map(plain, row)) for row in found] == expected(), question


def test_the_page_describes_every_column_in_order(database: Database) -> None:
    def found(connection: Connection) -> dict[str, list[str]]:
        return {
            view: list(connection.exec_driver_sql(f"SELECT * FROM {view} LIMIT 0").keys()) for view in reports.views()
        }

    assert database.read(found) == columns()


def test_the_durations_of_a_request_in_its_second_attempt_add_up_with_those_of_the_first(database: Database) -> None:
    HISTORY.insert(database)
    query = (
        "SELECT request_id, waiting_s, generating_s, downloading_s, total_s, width, operation, pictures, first_started_at"
        " FROM report_requests WHERE attempts = 2 AND outcome = 'completed'"
    )
    rows = {row.request_id: row for row in database.read(lambda c: c.exec_driver_sql(query).all())}
    twice = [job for job in COMPLETED if job["attempt"] == 2]
    assert set(rows) == {job["id"] for job in twice}
    for job in twice:
        row = rows[job["id"]]
        assert row.total_s > row.waiting_s + row.generating_s + row.downloading_s
        assert row.width == (1024 if job["parameters"] else None)
        assert (row.operation, row.pictures) == (operation(job), 1)
        assert plain(row.first_started_at) == time(job["created_at"] + (waiting(job) or 0))


def test_times_are_timestamps_on_postgresql_and_sort_as_text_on_sqlite(database: Database) -> None:
    HISTORY.insert(database)
    query = "SELECT created_at FROM report_requests ORDER BY created_at LIMIT 2"
    first, second = database.read(lambda c: c.exec_driver_sql(query).scalars().all())
    if isinstance(first, datetime):
        assert first.utcoffset() is not None
    assert (plain(first), plain(second)) == ("2026-01-01 00:00:00.000", "2026-01-01 00:18:00.007")


def execute(statement: str, tx: Transaction) -> None:
    tx.connection.exec_driver_sql(statement)


def migrated(move: Callable[[Config, str], None], revision: str, tx: Transaction) -> None:
    config = Config(attributes={"connection": tx.connection})
    config.set_main_option("script_location", str(FOLDER))
    move(config, revision)


def test_an_older_schema_has_no_views_and_the_upgrade_makes_them(database: Database, database_url: str) -> None:
    database.write(partial(migrated, command.downgrade, "0023"))
    assert not database.read(reports.drop)
    database.write(partial(migrated, command.upgrade, "head"))
    assert is_current(database_url)


def test_views_of_another_version_are_made_anew_without_a_migration(database: Database, database_url: str) -> None:
    def other(tx: Transaction) -> None:
        tx.connection.exec_driver_sql("DROP VIEW report_daily")
        tx.connection.exec_driver_sql("DROP VIEW report_version")
        tx.connection.exec_driver_sql("CREATE VIEW report_daily AS SELECT 1 AS one")
        tx.connection.exec_driver_sql("CREATE VIEW report_of_then AS SELECT 1 AS one")

    database.write(other)
    assert not is_current(database_url)
    assert upgrade(database_url)
    assert is_current(database_url)
    assert database.write(lambda tx: reports.drop(tx.connection)) == {*reports.views(), "report_version"}


def test_the_time_for_which_an_extension_was_connected_before_the_upgrade_is_that_of_its_last_connection(
    database: Database,
) -> None:
    database.write(partial(migrated, command.downgrade, "0023"))
    names = "id, connected, available, capabilities, max_concurrent, connected_at, heard_at, disconnected_at"
    for values in ("'gone', false, true, '[]', 1, 1000, 1000, 61000", "'here', true, true, '[]', 1, 1000, 1000, NULL"):
        statement = f"INSERT INTO extensions ({names}) VALUES ({values})"
        database.write(partial(execute, statement))
    database.write(partial(migrated, command.upgrade, "head"))
    query = "SELECT extension_id, connected_s, connected FROM report_extensions ORDER BY extension_id"
    gone, here = database.read(lambda c: c.exec_driver_sql(query).all())
    assert tuple(gone) == ("gone", 60.0, 0)
    assert here.connected_s > 1e9  # since 1970
