"""Counts the statements of each step of a request: times differ between machines, counts do not.

A number may be lowered; a change that raises one should explain what is gained.
"""

from __future__ import annotations

import base64
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import make_url

from app.container import build
from app.db.jobs import Job
from app.domain.idempotency import OwnedKey
from app.domain.image_request import ImageRequest
from app.domain.messages import ImageGenerated
from app.domain.states import Status
from app.services.idempotency import KeyedRequest
from app.services.lookup import JobDetails
from tests.support.fakes import Bench
from tests.support.harness import Harness
from tests.support.image_samples import png
from tests.support.statements import recorded_statements

# BEGIN and COMMIT are not counted; PostgreSQL's clock is a statement, or part of the lock for the quota.
MOST = {
    "submit": {"sqlite": 5, "postgresql": 6},  # one counts those ahead, the last one queries free extensions
    "submit with a key": {"sqlite": 7, "postgresql": 8},
    # the virtual time of the queue is one, what is paused another, on PostgreSQL the clock a third
    "hand over": {"sqlite": 7, "postgresql": 10},
    "progress": {"sqlite": 1, "postgresql": 2},
    "result": {"sqlite": 4, "postgresql": 6},  # one queries a job that waits for the slot
    "download": {"sqlite": 11, "postgresql": 13},  # with the success of its extension
    "idle heartbeat": {"sqlite": 1, "postgresql": 1},
    "heartbeat at work": {"sqlite": 5, "postgresql": 6},
    "status": {"sqlite": 1, "postgresql": 1},
    "status while it waits": {"sqlite": 3, "postgresql": 3},  # one counts those ahead
    "list": {"sqlite": 3, "postgresql": 3},  # the requests, their images, and what was made from these
}


def submit(harness: Harness) -> Callable[[], object]:
    harness.submit()
    return lambda: harness.submit(user="ben")


def submit_with_a_key(harness: Harness) -> Callable[[], object]:
    harness.submit()
    request: KeyedRequest[JobDetails[Job]] = KeyedRequest(
        OwnedKey("ben", "generate", "key"), "0", lambda made: made.job.id, 1_000
    )
    order = ImageRequest("a fox", user_id="ben")
    return lambda: harness.services.submission.submit(order, "correlation-1", request)


def hand_over(harness: Harness) -> Callable[[], object]:
    harness.connect("e1", max_concurrent=9)
    harness.submit_and_start()
    harness.submit()
    return harness.assign


def progress(harness: Harness) -> Callable[[], object]:
    holder, job = harness.connect_and_start()
    harness.report_progress(holder, job, 10)
    return lambda: harness.report_progress(holder, job, 20)


def result(harness: Harness) -> Callable[[], object]:
    holder, job = harness.connect_and_start()
    return lambda: harness.report_image(holder, job)


def download(harness: Harness) -> Callable[[], object]:
    holder, job = harness.connect_and_start()
    picture = f"data:image/png;base64,{base64.b64encode(png()).decode()}"
    harness.services.generation.report(holder, ImageGenerated(request_id=job.id, image_urls=(picture,)))
    return harness.services.download.run


def idle_heartbeat(harness: Harness) -> Callable[[], object]:
    holder = harness.connect("e1")
    return lambda: harness.heartbeat(holder)


def heartbeat_at_work(harness: Harness) -> Callable[[], object]:
    holder, job = harness.connect_and_start()
    return lambda: harness.heartbeat(holder, active_request_ids=(job.id,))


def status(harness: Harness) -> Callable[[], object]:
    _, job = harness.connect_and_start()
    return lambda: harness.services.lookup.status(job.id)


def status_while_it_waits(harness: Harness) -> Callable[[], object]:
    harness.connect("e1")
    job = harness.submit()
    return lambda: harness.services.lookup.status(job.id)


def list_of_completed(harness: Harness) -> Callable[[], object]:
    for _ in range(5):
        harness.update_job(harness.submit(), status=Status.COMPLETED)
    return lambda: harness.services.lookup.page("ann", None, None, 20)


STEPS = {
    "submit": submit,
    "submit with a key": submit_with_a_key,
    "hand over": hand_over,
    "progress": progress,
    "result": result,
    "download": download,
    "idle heartbeat": idle_heartbeat,
    "heartbeat at work": heartbeat_at_work,
    "status": status,
    "status while it waits": status_while_it_waits,
    "list": list_of_completed,
}


@pytest.fixture
def harness(bench: Bench) -> Harness:
    """As in service: what waiting requests show of the fleet was read within the last second."""
    return Harness(bench, build(bench.ports, summary_age_s=60))


@pytest.mark.parametrize("step", STEPS)
def test_a_step_executes_no_more_statements_than_recorded(harness: Harness, step: str, database_url: str) -> None:
    act = STEPS[step](harness)
    with recorded_statements() as statements:
        act()
    asked = [text for text, _ in statements]
    assert len(asked) <= MOST[step][database_url.partition(":")[0].partition("+")[0]], "\n".join(asked)


# For the row, each index that the change touches, and each event. A page costs SQLite 12 to 18 us, half of it for the disk.
MOST_PAGES = {
    "submit": 10,  # one for the fingerprint, by which identical requests are found
    "submit with a key": 13,  # the key, and the index of its end
    "hand over": 12,  # one for the virtual time of the queue
    "progress": 5,
    "result": 9,
    "download": 25,  # one for the fingerprint, two for the index of running downloads, one for that of completed requests
    "idle heartbeat": 0,
    "heartbeat at work": 3,
    "status": 0,
    "status while it waits": 0,
    "list": 0,
}


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("step", STEPS)
def test_a_step_writes_no_more_pages_than_recorded(harness: Harness, step: str, database_url: str) -> None:
    act = STEPS[step](harness)
    path = make_url(database_url).database or ""
    with closing(sqlite3.connect(path)) as beside:
        beside.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    act()
    log = Path(f"{path}-wal")
    # https://sqlite.org/fileformat2.html#the_write_ahead_log
    assert max(0, log.stat().st_size - 32) // (4096 + 24) <= MOST_PAGES[step]
