"""Heartbeats: which leases they renew, which requests they requeue, and when they write nothing."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from app.db import fleet
from app.db.engine import Database, Transaction
from app.domain.messages import Heartbeat
from app.domain.states import Status
from app.services import extensions, last_seen
from app.services.generation import Holder
from tests.support.harness import Harness
from tests.support.statements import recorded_statements

HOUR = 3_600_000


@pytest.mark.parametrize("listed", [True, False])
def test_a_heartbeat_renews_the_leases_of_its_extension(harness: Harness, listed: bool) -> None:
    holder, job = harness.connect_and_start()
    harness.update_job(job, lease_until=harness.now() + 1_000)
    before = harness.now()
    assert harness.heartbeat(holder, **({"active_request_ids": (job.id,)} if listed else {"active_requests": 1}))
    assert (harness.reload(job).lease_until or 0) >= before + harness.services.settings.request_timeout_ms


def test_a_heartbeat_does_not_extend_an_attempt(harness: Harness) -> None:
    holder, job = harness.connect_and_start()
    ends = harness.now() + 5_000
    harness.update_job(job, attempt_until=ends)
    harness.heartbeat(holder, active_request_ids=(job.id,))
    assert harness.reload(job).lease_until == ends


def test_a_heartbeat_does_not_notify_watchers(harness: Harness) -> None:
    holder, job = harness.connect_and_start()
    harness.bench.bus.changes.clear()
    harness.heartbeat(holder, active_request_ids=(job.id,))
    assert harness.reload(job).version == job.version
    assert harness.bench.bus.changes == []


def test_a_request_missing_in_a_heartbeat_is_requeued(harness: Harness) -> None:
    holder = harness.connect(max_concurrent=2)
    kept, left_out = harness.submit_and_start(), harness.submit_and_start()
    harness.heartbeat(holder, active_request_ids=(kept.id,))
    assert harness.reload(kept).status is Status.PROCESSING
    assert (harness.reload(left_out).status, harness.reload(left_out).strikes) == (Status.ACCEPTED, 1)
    assert harness.extension_row().held == 1


def test_a_heartbeat_sent_before_an_offer_arrived_does_not_end_it(harness: Harness) -> None:
    holder = harness.connect()
    job = harness.submit_and_assign()
    harness.heartbeat(holder, active_request_ids=())
    assert harness.reload(job) == job


def test_a_heartbeat_with_too_low_a_count_renews_nothing(harness: Harness) -> None:
    holder, job = harness.connect_and_start()
    harness.heartbeat(holder, active_requests=0)
    assert harness.reload(job) == job


def test_a_heartbeat_with_a_count_of_zero_requeues_older_requests(harness: Harness) -> None:
    holder, job = harness.connect_and_start()
    harness.update_job(job, started_at=harness.now() - 5_000)
    harness.heartbeat(holder, active_requests=0, queue_size=1)
    assert harness.reload(job).status is Status.PROCESSING
    harness.heartbeat(holder, active_requests=0)
    assert (harness.reload(job).status, harness.reload(job).strikes) == (Status.ACCEPTED, 1)


def test_requests_counted_as_queued_in_a_heartbeat_are_renewed(harness: Harness) -> None:
    holder, job = harness.connect_and_start()
    harness.update_job(job, lease_until=harness.now() + 1_000)
    harness.heartbeat(holder, active_requests=0, queue_size=1)
    assert (harness.reload(job).lease_until or 0) > harness.now() + 1_000


def test_an_extension_that_reports_itself_unavailable_receives_no_work(harness: Harness) -> None:
    holder = harness.connect()
    harness.submit()
    harness.heartbeat(holder, available=False)
    assert harness.assign() == 0
    harness.heartbeat(holder, available=True)
    assert harness.assign() == 1


def test_a_heartbeat_without_waiting_jobs_wakes_no_dispatcher(harness: Harness) -> None:
    holder = harness.connect()
    harness.bench.tasks.assigns = 0
    harness.heartbeat(holder)
    assert harness.bench.tasks.assigns == 0


@pytest.fixture
def commits(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Record the transactions for writing from now on."""
    written: list[object] = []
    write = Database.write

    def recording_write(database: Database, work: Callable[[Transaction], object]) -> object:
        written.append(work)
        return write(database, work)

    monkeypatch.setattr(Database, "write", recording_write)
    return written


@pytest.mark.parametrize("available", [True, False])
def test_a_heartbeat_without_changes_costs_one_query_and_no_commit(
    harness: Harness, commits: list[object], available: bool
) -> None:
    idle = harness.connect("idle", "flux")
    harness.connect("busy", "dall-e-3")
    harness.submit_and_start()
    harness.heartbeat(idle, available=available)
    commits.clear()
    with recorded_statements() as queries:
        assert harness.heartbeat(idle, available=available)
    assert (len(commits), len(queries)) == (0, 1)


def test_an_unconfirmed_offer_does_not_cause_a_commit_per_heartbeat(harness: Harness, commits: list[object]) -> None:
    holder = harness.connect()
    harness.submit_and_assign()
    commits.clear()
    assert harness.heartbeat(holder, active_request_ids=())
    assert commits == []


def test_a_heartbeat_with_a_change_is_stored_at_once(harness: Harness, commits: list[object]) -> None:
    holder = harness.connect()
    for available in (False, True):
        harness.update_extension(heard_at=1)
        commits.clear()
        assert harness.heartbeat(holder, available=available)
        assert len(commits) == 1
        assert harness.extension_row().available is available
        assert harness.extension_row().heard_at > 1


def test_a_heartbeat_without_changes_wakes_a_dispatcher_if_a_job_waits(harness: Harness) -> None:
    able, unable = harness.connect("able"), harness.connect("unable")
    harness.heartbeat(unable, available=False)
    harness.submit()
    harness.bench.tasks.assigns = 0
    harness.heartbeat(unable, available=False)
    assert harness.bench.tasks.assigns == 0
    harness.heartbeat(able)
    assert harness.bench.tasks.assigns == 1


def test_a_socket_replaced_while_its_heartbeat_is_read_is_rejected(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    older = harness.connect()
    harness.connect(number=2)
    monkeypatch.setattr(
        fleet,
        "state_of",
        lambda *_: fleet.ExtensionState(
            available=True, has_work=False, any_job_waits=False, cooldown_until=0, cooldown_reason=None
        ),
    )
    assert harness.heartbeat(older, available=False) is None
    assert harness.extension_row().available


def test_a_heartbeat_over_an_older_socket_is_rejected(harness: Harness) -> None:
    older, job = harness.connect_and_start()
    harness.connect(number=2)
    before = harness.reload(job)
    assert harness.heartbeat(older, active_request_ids=(), available=False) is None
    assert harness.reload(job) == before
    assert harness.extension_row().available


def test_a_heartbeat_of_an_unknown_extension_is_rejected(harness: Harness) -> None:
    assert harness.services.extensions.heartbeat(Holder("e9", "no-socket"), Heartbeat(extension_id="e9")) is None


def test_heartbeats_without_changes_are_shown_once_they_are_stored(
    harness: Harness, commits: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extensions, "BATCH", 2)
    names = ("e1", "e2", "e3")
    holders = [harness.connect(name) for name in names]
    for name in names:
        harness.update_extension(name, heard_at=1)
    before = harness.now()
    for holder in holders:
        harness.heartbeat(holder)
    assert [harness.extension_row(name).heard_at for name in names] == [1, 1, 1]
    commits.clear()
    harness.services.extensions.record_last_seen()
    assert len(commits) == 2
    after = harness.now()
    assert [name for name in names if not before <= harness.extension_row(name).heard_at <= after] == []
    commits.clear()
    harness.services.extensions.record_last_seen()
    assert commits == []


def test_the_time_of_the_heartbeat_is_shown_and_not_the_time_of_storing(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    holder = harness.connect()
    harness.update_extension(heard_at=1)
    with monkeypatch.context() as then:
        then.setattr(last_seen, "time", SimpleNamespace(monotonic=lambda: time.monotonic() - 60))
        before = harness.now()
        harness.heartbeat(holder)
    harness.services.extensions.record_last_seen()
    assert before <= harness.extension_row().heard_at + 60_000 <= harness.now()


def test_the_last_seen_time_never_goes_back(harness: Harness) -> None:
    holder = harness.connect()
    harness.heartbeat(holder)
    later = harness.now() + HOUR
    harness.update_extension(heard_at=later)
    harness.services.extensions.record_last_seen()
    assert harness.extension_row().heard_at == later


def test_the_last_seen_time_of_a_disconnected_extension_does_not_change(harness: Harness) -> None:
    gone, replaced = harness.connect("e1"), harness.connect("e2")
    harness.heartbeat(gone)
    harness.heartbeat(replaced)
    harness.services.extensions.disconnected(gone.connection_id)
    harness.connect("e2", number=2)
    for name in ("e1", "e2"):
        harness.update_extension(name, heard_at=1)
    with recorded_statements("UPDATE extensions") as statements:
        harness.services.extensions.record_last_seen()
    assert gone.connection_id not in str(statements)
    assert [harness.extension_row(name).heard_at for name in ("e1", "e2")] == [1, 1]
