"""The database's clock is set back: simulated by moving every stored time and the ids of requests ahead."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from sqlalchemy import BigInteger, Table, select

from app.db import service_state
from app.db.credential_tables import api_keys, extension_tokens, users
from app.db.jobs import Job
from app.db.tables import extensions, files, hubs, idempotency_keys, images, jobs, models_served, sweeps, uploads
from app.domain.errors import QuotaExceeded
from app.domain.idempotency import OwnedKey
from app.domain.ids import uuid7
from app.domain.image_request import ImageRequest
from app.domain.states import Status
from app.services import submission
from app.services.housekeeping import SWEEP
from app.services.idempotency import KeyedRequest
from app.services.lookup import JobDetails
from tests.support.harness import Harness

DAY = 86_400_000
TABLES = (
    *(jobs, files, uploads, images, extensions, hubs, models_served, sweeps),
    *(users, api_keys, extension_tokens, idempotency_keys),
)
NO_TIMES = {"number", "bytes", "virtual_start", "virtual_time"}


@pytest.fixture(params=[150_000, DAY], ids=["150 s", "a day"])
def step_ms(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """By how much the clock is set back. Until then it is ahead, and so are the ids."""
    ahead: int = request.param
    monkeypatch.setattr(submission, "uuid7", lambda now_ms, *more, **above: uuid7(now_ms + ahead, *more, **above))
    return ahead


@pytest.fixture
def set_back(harness: Harness, step_ms: int, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    def act() -> None:
        harness.services.housekeeping.adjust_times()
        for table in TABLES:
            _move(harness, table, step_ms)
        monkeypatch.setattr(submission, "uuid7", uuid7)

    return act


def _move(harness: Harness, table: Table, by_ms: int) -> None:
    times = [column for column in table.c if isinstance(column.type, BigInteger) and column.name not in NO_TIMES]
    moved = table.update().values({column.name: column + by_ms for column in times})
    harness.bench.database.write(lambda tx: tx.connection.execute(moved))


def is_swept(harness: Harness) -> bool:
    return harness.bench.database.read(lambda c: service_state.swept_within(c, SWEEP, 60_000))


def test_a_sweep_is_due_at_once(harness: Harness, set_back: Callable[[], None]) -> None:
    set_back()
    assert not is_swept(harness)
    assert harness.services.housekeeping.is_due()
    harness.sweep()
    assert is_swept(harness)


def test_leases_end_no_later_than_new_ones(harness: Harness, set_back: Callable[[], None]) -> None:
    _, job = harness.connect_and_start()
    set_back()
    harness.sweep()
    held, settings = harness.reload(job), harness.services.settings
    assert held.status is Status.PROCESSING
    assert harness.now() < (held.lease_until or 0) <= harness.now() + settings.request_timeout_ms
    assert (held.attempt_until or 0) <= harness.now() + settings.request_max_ms
    assert (held.started_at or 0) <= harness.now()


def test_waiting_requests_do_not_wait_longer_for_those_that_come_later(
    harness: Harness, set_back: Callable[[], None]
) -> None:
    first, second = harness.submit(), harness.submit()
    set_back()
    harness.sweep()
    later = [harness.submit(user="bob") for _ in range(3)]
    harness.connect(max_concurrent=4)
    assert harness.assign() == 4
    assert [harness.reload(job).status for job in (first, second, later[-1])] == [
        Status.PROCESSING,
        Status.PROCESSING,
        Status.ACCEPTED,
    ]


def test_a_request_keeps_its_time_limits(harness: Harness, set_back: Callable[[], None]) -> None:
    job = harness.submit(deadline_ms=60_000)
    set_back()
    harness.sweep()
    waiting = harness.reload(job)
    assert waiting.created_at <= harness.now()
    assert (waiting.deadline_at or 0) - waiting.created_at == 60_000


def test_a_download_is_due_again(harness: Harness, set_back: Callable[[], None]) -> None:
    holder, job = harness.connect_and_start()
    harness.report_image(holder, job)
    set_back()
    harness.sweep()
    harness.run_downloads()
    assert harness.reload(job).download_attempt == 1


def test_the_download_of_a_worker_that_died_is_claimed_again(harness: Harness, set_back: Callable[[], None]) -> None:
    holder, job = harness.connect_and_start()
    harness.report_image(holder, job)
    harness.update_job(job, lease="claimed", due_at=harness.now() + 70_000)
    set_back()
    harness.sweep()
    assert harness.now() < harness.reload(job).due_at <= harness.now() + 100_000


def test_a_pause_is_no_longer_than_the_longest(harness: Harness, set_back: Callable[[], None]) -> None:
    harness.connect()
    harness.update_extension(cooldown_until=harness.now() + 1_000, failures=1)
    set_back()
    harness.sweep()
    assert harness.extension_row().cooldown_until <= harness.now() + 600_000


def test_a_dead_web_process_is_noticed_after_the_usual_time(harness: Harness, set_back: Callable[[], None]) -> None:
    harness.connect()
    set_back()
    harness.sweep()
    row = harness.bench.database.read(lambda c: c.execute(hubs.select()).one())
    assert row.seen_at <= harness.now()
    assert harness.extension_row().connected
    assert harness.extension_row().heard_at <= harness.now()


def test_a_request_without_an_extension_fails_after_the_usual_time(
    harness: Harness, set_back: Callable[[], None]
) -> None:
    job = harness.submit(model="flux")
    harness.sweep()
    set_back()
    harness.sweep()
    assert harness.reload(job).status is Status.ACCEPTED
    harness.leave_unserved(job)
    harness.sweep()
    assert harness.reload(job).status is Status.FAILED


def test_a_daily_quota_is_free_again_a_day_later_at_the_latest(harness: Harness, set_back: Callable[[], None]) -> None:
    harness = harness.with_settings(limits=replace(harness.services.settings.limits, quota_per_day=1))
    job = harness.submit()
    set_back()
    harness.sweep()
    with pytest.raises(QuotaExceeded) as refused:
        harness.submit()
    assert 0 < (refused.value.retry_after_s or 0) <= DAY // 1000
    harness.update_job(job, created_at=harness.now() - DAY - 1)
    harness.submit()


def test_a_key_is_kept_as_long_as_a_new_one(harness: Harness, set_back: Callable[[], None]) -> None:
    def submit(key: str, lifetime_ms: int | None) -> None:
        request: KeyedRequest[JobDetails[Job]] = KeyedRequest(
            OwnedKey("ann", "generate", key), "0", lambda made: made.job.id, lifetime_ms
        )
        harness.services.submission.submit(ImageRequest("a fox", user_id="ann"), "correlation-1", request)

    submit("a day", DAY)
    submit("no end", None)
    set_back()
    harness.sweep()
    ends = dict(
        harness.bench.database.read(
            lambda c: c.execute(select(idempotency_keys.c.key, idempotency_keys.c.expires_at)).all()
        )
    )
    assert ends["no end"] is None
    assert harness.now() < ends["a day"] <= harness.now() + DAY
