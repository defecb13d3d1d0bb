"""Heartbeats: what they renew and give back, and what they leave unwritten."""

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
from tests.support.crew import Crew
from tests.support.statements import noted

HOUR = 3_600_000


@pytest.mark.parametrize("listed", [True, False])
def test_a_heartbeat_renews_what_the_extension_works_on(crew: Crew, listed: bool) -> None:
    holder, job = crew.at_work()
    crew.pass_time(job, lease_until=crew.clock() + 1_000)
    before = crew.clock()
    assert crew.beat(holder, **({"active_request_ids": (job.id,)} if listed else {"active_requests": 1}))
    assert (crew.now(job).lease_until or 0) >= before + crew.services.settings.request_timeout_ms


def test_a_heartbeat_does_not_make_an_attempt_longer(crew: Crew) -> None:
    holder, job = crew.at_work()
    ends = crew.clock() + 5_000
    crew.pass_time(job, attempt_until=ends)
    crew.beat(holder, active_request_ids=(job.id,))
    assert crew.now(job).lease_until == ends


def test_a_heartbeat_does_not_notify_watchers(crew: Crew) -> None:
    holder, job = crew.at_work()
    crew.bench.bus.changes.clear()
    crew.beat(holder, active_request_ids=(job.id,))
    assert crew.now(job).version == job.version
    assert crew.bench.bus.changes == []


def test_a_heartbeat_that_leaves_a_request_out_gives_it_back(crew: Crew) -> None:
    holder = crew.join(max_concurrent=2)
    kept, left_out = crew.taken(), crew.taken()
    crew.beat(holder, active_request_ids=(kept.id,))
    assert crew.now(kept).status is Status.PROCESSING
    assert (crew.now(left_out).status, crew.now(left_out).strikes) == (Status.ACCEPTED, 1)
    assert crew.extension().held == 1


def test_a_heartbeat_that_crosses_an_offer_leaves_it_alone(crew: Crew) -> None:
    holder = crew.join()
    job = crew.offered()
    crew.beat(holder, active_request_ids=())
    assert crew.now(job) == job


def test_a_heartbeat_that_counts_fewer_than_are_held_renews_nothing(crew: Crew) -> None:
    holder, job = crew.at_work()
    crew.beat(holder, active_requests=0)
    assert crew.now(job) == job


def test_a_heartbeat_that_counts_nothing_gives_back_what_was_taken_a_while_ago(crew: Crew) -> None:
    holder, job = crew.at_work()
    crew.pass_time(job, started_at=crew.clock() - 5_000)
    crew.beat(holder, active_requests=0, queue_size=1)
    assert crew.now(job).status is Status.PROCESSING
    crew.beat(holder, active_requests=0)
    assert (crew.now(job).status, crew.now(job).strikes) == (Status.ACCEPTED, 1)


def test_a_heartbeat_may_count_what_it_holds_as_queued(crew: Crew) -> None:
    holder, job = crew.at_work()
    crew.pass_time(job, lease_until=crew.clock() + 1_000)
    crew.beat(holder, active_requests=0, queue_size=1)
    assert (crew.now(job).lease_until or 0) > crew.clock() + 1_000


def test_an_extension_that_takes_no_work_for_a_while_is_given_none(crew: Crew) -> None:
    holder = crew.join()
    crew.order()
    crew.beat(holder, available=False)
    assert crew.hand_out() == 0
    crew.beat(holder, available=True)
    assert crew.hand_out() == 1


def test_a_heartbeat_without_waiting_jobs_wakes_no_dispatcher(crew: Crew) -> None:
    holder = crew.join()
    crew.bench.tasks.assigns = 0
    crew.beat(holder)
    assert crew.bench.tasks.assigns == 0


@pytest.fixture
def commits(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What was written since, a commit each."""
    written: list[object] = []
    write = Database.write

    def noted_write(database: Database, work: Callable[[Transaction], object]) -> object:
        written.append(work)
        return write(database, work)

    monkeypatch.setattr(Database, "write", noted_write)
    return written


@pytest.mark.parametrize("available", [True, False])
def test_a_heartbeat_without_changes_costs_one_query_and_no_commit(
    crew: Crew, commits: list[object], available: bool
) -> None:
    idle = crew.join("idle", "flux")
    crew.join("busy", "dall-e-3")
    crew.taken()
    crew.beat(idle, available=available)
    commits.clear()
    with noted() as asked:
        assert crew.beat(idle, available=available)
    assert (len(commits), len(asked)) == (0, 1)


def test_an_unconfirmed_offer_does_not_cause_a_commit_per_heartbeat(crew: Crew, commits: list[object]) -> None:
    holder = crew.join()
    crew.offered()
    commits.clear()
    assert crew.beat(holder, active_request_ids=())
    assert commits == []


def test_a_heartbeat_with_a_change_is_stored_at_once(crew: Crew, commits: list[object]) -> None:
    holder = crew.join()
    for available in (False, True):
        crew.set_extension(heard_at=1)
        commits.clear()
        assert crew.beat(holder, available=available)
        assert len(commits) == 1
        assert crew.extension().available is available
        assert crew.extension().heard_at > 1


def test_a_heartbeat_without_changes_wakes_a_dispatcher_if_a_job_waits(crew: Crew) -> None:
    able, unable = crew.join("able"), crew.join("unable")
    crew.beat(unable, available=False)
    crew.order()
    crew.bench.tasks.assigns = 0
    crew.beat(unable, available=False)
    assert crew.bench.tasks.assigns == 0
    crew.beat(able)
    assert crew.bench.tasks.assigns == 1


def test_a_socket_replaced_while_its_heartbeat_is_read_is_rejected(crew: Crew, monkeypatch: pytest.MonkeyPatch) -> None:
    older = crew.join()
    crew.join(again=2)
    monkeypatch.setattr(
        fleet, "state_of", lambda *_: fleet.ExtensionState(available=True, has_work=False, any_job_waits=False)
    )
    assert crew.beat(older, available=False) is False
    assert crew.extension().available


def test_a_heartbeat_over_an_older_socket_is_rejected(crew: Crew) -> None:
    older, job = crew.at_work()
    crew.join(again=2)
    before = crew.now(job)
    assert crew.beat(older, active_request_ids=(), available=False) is False
    assert crew.now(job) == before
    assert crew.extension().available


def test_a_heartbeat_of_an_unknown_extension_is_rejected(crew: Crew) -> None:
    assert crew.services.extensions.heartbeat(Holder("e9", "no-socket"), Heartbeat(extension_id="e9")) is False


def test_heartbeats_without_changes_are_shown_once_they_are_stored(
    crew: Crew, commits: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extensions, "BATCH", 2)
    names = ("e1", "e2", "e3")
    holders = [crew.join(name) for name in names]
    for name in names:
        crew.set_extension(name, heard_at=1)
    before = crew.clock()
    for holder in holders:
        crew.beat(holder)
    assert [crew.extension(name).heard_at for name in names] == [1, 1, 1]
    commits.clear()
    crew.services.extensions.record_last_seen()
    assert len(commits) == 2
    after = crew.clock()
    assert [name for name in names if not before <= crew.extension(name).heard_at <= after] == []
    commits.clear()
    crew.services.extensions.record_last_seen()
    assert commits == []


def test_the_time_of_the_heartbeat_is_shown_and_not_the_time_of_storing(
    crew: Crew, monkeypatch: pytest.MonkeyPatch
) -> None:
    holder = crew.join()
    crew.set_extension(heard_at=1)
    with monkeypatch.context() as then:
        then.setattr(last_seen, "time", SimpleNamespace(monotonic=lambda: time.monotonic() - 60))
        before = crew.clock()
        crew.beat(holder)
    crew.services.extensions.record_last_seen()
    assert before <= crew.extension().heard_at + 60_000 <= crew.clock()


def test_the_last_seen_time_never_goes_back(crew: Crew) -> None:
    holder = crew.join()
    crew.beat(holder)
    later = crew.clock() + HOUR
    crew.set_extension(heard_at=later)
    crew.services.extensions.record_last_seen()
    assert crew.extension().heard_at == later


def test_the_last_seen_time_of_a_disconnected_extension_does_not_change(crew: Crew) -> None:
    gone, replaced = crew.join("e1"), crew.join("e2")
    crew.beat(gone)
    crew.beat(replaced)
    crew.services.extensions.disconnected(gone.connection_id)
    crew.join("e2", again=2)
    for name in ("e1", "e2"):
        crew.set_extension(name, heard_at=1)
    with noted("UPDATE extensions") as statements:
        crew.services.extensions.record_last_seen()
    assert gone.connection_id not in str(statements)
    assert [crew.extension(name).heard_at for name in ("e1", "e2")] == [1, 1]
