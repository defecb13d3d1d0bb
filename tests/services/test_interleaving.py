"""Data read before a write transaction may be outdated by then: the write must change nothing in that case."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from app.db import images, jobs
from app.db.engine import Transaction
from app.db.jobs import Job
from app.db.tables import extensions
from app.domain.states import Status
from tests.support.downloads import PNG, URL, make_due, run
from tests.support.fakes import Bench
from tests.support.harness import Harness
from tests.support.interleaving import changed_after_read, on_postgresql, overlapping
from tests.support.job_factory import downloading_job

FUTURE = 2**45
OVER = 1  # a lease, an attempt or a deadline that ended long ago


# -- the end of a lease


def test_a_lease_renewed_during_the_sweep_is_not_ended(harness: Harness) -> None:
    holder, job = harness.connect_and_start()
    harness.expire_lease(job)
    with changed_after_read(harness.bench.database, lambda: harness.heartbeat(holder, active_request_ids=(job.id,))):
        harness.services.housekeeping.end_leases()
    after = harness.reload(job)
    assert (after.status, after.holder, after.lease, after.strikes) == (Status.PROCESSING, "e1", job.lease, 0)
    assert (after.lease_until or 0) > harness.now()


def test_an_offer_confirmed_during_the_sweep_counts_as_received(harness: Harness) -> None:
    harness.connect()
    job = harness.submit_and_assign()
    harness.update_job(
        job, lease_until=OVER, attempt_until=OVER
    )  # so the lease ends at the same moment before and after
    with changed_after_read(
        harness.bench.database, lambda: harness.services.generation.offer_received(job.id, job.lease or "")
    ):
        harness.services.housekeeping.end_leases()
    assert (harness.reload(job).status, harness.reload(job).handed_over) == (Status.PROCESSING, True)
    harness.services.housekeeping.end_leases()
    assert (harness.reload(job).status, harness.reload(job).strikes) == (Status.ACCEPTED, 1)
    assert harness.events(job)[-1].data["code"] == "ERR_TIMEOUT"


@pytest.mark.parametrize("max_attempts", [1, 9], ids=["the last strike", "strikes left"])
def test_a_job_reassigned_during_the_sweep_keeps_its_new_holder(harness: Harness, max_attempts: int) -> None:
    harness.connect("e1")
    job = harness.submit_and_start()
    harness.expire_lease(job)

    def change_hands() -> None:
        harness.services.housekeeping.end_leases()
        harness.connect("e2")
        harness.assign()
        harness.services.generation.offer_received(job.id, harness.reload(job).lease or "")
        harness.expire_lease(job)

    strict = harness.with_settings(max_attempts=max_attempts)
    with changed_after_read(harness.bench.database, change_hands):
        strict.services.housekeeping.end_leases()
    after = harness.reload(job)
    assert (after.status, after.holder, after.attempt) == (Status.PROCESSING, "e2", 2)
    assert (harness.extension_row("e1").held, harness.extension_row("e2").held) == (0, 1)
    assert len(harness.bench.bus.sent("cancel_generation")) == 1


# -- deadlines


def test_an_overdue_job_that_was_reassigned_meanwhile_fails_at_its_new_holder(harness: Harness) -> None:
    first = harness.connect("e1")
    job = harness.submit_and_start(deadline_ms=1_000)
    harness.update_job(job, deadline_at=OVER)

    def change_hands() -> None:
        harness.report_failure(first, job)
        harness.connect("e2")
        assert harness.assign() == 1

    with changed_after_read(harness.bench.database, change_hands):
        harness.services.housekeeping.fail_late()
    assert (harness.reload(job).status, harness.reload(job).holder) == (Status.PROCESSING, "e2")
    assert harness.bench.bus.sent("cancel_generation") == []
    harness.services.housekeeping.fail_late()
    assert (harness.reload(job).status, harness.reload(job).error_code) == (Status.FAILED, "ERR_TIMEOUT")
    assert harness.events(job)[-1].data["extension_id"] == "e2"
    assert harness.extension_row("e2").held == 0
    [(_, stop)] = [
        sent for sent in harness.bench.bus.to_hubs if sent[1].get("message", {}).get("type") == "cancel_generation"
    ]
    assert stop["connection"] == "e2-socket-1"


@pytest.mark.parametrize("end", ["cancelled", "completed"])
def test_an_overdue_job_that_finished_meanwhile_stays_finished(harness: Harness, end: str) -> None:
    holder, job = harness.connect_and_start()
    harness.update_job(job, deadline_at=OVER)
    harness.bench.fetch.answers[URL] = PNG

    def finish() -> None:
        if end == "cancelled":
            harness.services.cancellation.cancel(job.id)
        else:
            harness.report_image(holder, job)
            harness.services.download.run()

    with changed_after_read(harness.bench.database, finish):
        harness.services.housekeeping.fail_late()
    assert harness.reload(job).status == end


@on_postgresql
@pytest.mark.parametrize("served", [True, False])
def test_a_job_assigned_during_the_deadline_sweep_does_not_fail(
    harness: Harness, monkeypatch: pytest.MonkeyPatch, served: bool
) -> None:
    job = harness.submit()
    if served:
        harness.connect()
        harness.update_job(job, queued_at=OVER)
    else:
        harness.sweep()
        harness.leave_unserved(job)
        harness.update_job(job, queued_at=harness.now() - harness.services.settings.no_extension_timeout_ms - 1)

    def read_then_hand_out(*args: Any, **more: Any) -> list[Job]:
        waiting = jobs_waiting_since(*args, **more)
        if waiting:
            harness.connect()
            assert harness.assign() == 1
        return waiting

    jobs_waiting_since = jobs.waiting_since
    monkeypatch.setattr(jobs, "waiting_since", read_then_hand_out)
    harness.sweep()
    assert (harness.reload(job).status, harness.reload(job).holder) == (Status.PROCESSING, "e1")


def test_an_unserved_model_does_not_fail_jobs_of_other_models(harness: Harness) -> None:
    harness.connect("e1", "dall-e-3")
    harness.update_extension(available=False)
    unserved, served = harness.submit(model="flux"), harness.submit()
    harness.sweep()
    harness.leave_unserved(unserved)
    harness.update_job(served, queued_at=harness.reload(unserved).queued_at)
    harness.sweep()
    assert (harness.reload(unserved).status, harness.reload(unserved).error_code) == (Status.FAILED, "ERR_NO_EXTENSION")
    assert harness.reload(served).status is Status.ACCEPTED


@pytest.mark.parametrize("stage", ["accepted", "processing"])
def test_a_deadline_in_the_future_changes_nothing(harness: Harness, stage: str) -> None:
    harness.connect()
    job = harness.submit(deadline_ms=3_600_000)
    if stage == "processing":
        assert harness.assign() == 1
    before = harness.reload(job)
    harness.sweep()
    assert harness.reload(job) == before


# -- assignment


def test_a_job_requeued_meanwhile_is_not_assigned_again_as_the_same_attempt(
    harness: Harness,
) -> None:
    harness.connect()
    job = harness.submit()

    def there_and_back() -> None:
        assert harness.assign() == 1
        harness.services.dispatch.not_delivered(job.id, harness.reload(job).lease or "")
        harness.update_extension(cooldown_until=0)

    with changed_after_read(harness.bench.database, there_and_back):
        harness.assign()
    harness.assign()
    assert (harness.reload(job).attempt, harness.extension_row().held) == (2, 1)
    attempts = [fact.data["attempt"] for fact in harness.events(job) if fact.type == "ImageGenerationAssignedEvent"]
    assert attempts == [1, 2]


def test_a_job_cancelled_meanwhile_occupies_no_slot(harness: Harness) -> None:
    harness.connect()
    job = harness.submit()
    with changed_after_read(harness.bench.database, lambda: harness.services.cancellation.cancel(job.id)):
        assert harness.assign() == 0
    assert (harness.reload(job).status, harness.extension_row().held) == (Status.CANCELLED, 0)


def test_an_offer_confirmed_meanwhile_is_not_withdrawn(harness: Harness) -> None:
    harness.connect()
    job = harness.submit_and_start()
    harness.services.dispatch.not_delivered(job.id, job.lease or "")
    assert harness.reload(job) == job


def test_an_offer_of_an_earlier_lease_is_not_withdrawn(harness: Harness) -> None:
    harness.connect()
    job = harness.submit_and_assign()
    harness.services.dispatch.not_delivered(job.id, "an-earlier-lease")
    assert harness.reload(job) == job


@on_postgresql
def test_extensions_are_locked_in_the_order_of_their_ids_so_that_two_workers_cannot_deadlock(harness: Harness) -> None:
    harness.connect("z", "flux")
    harness.connect("a", "dall-e-3")
    harness.submit(model="flux")
    harness.submit(model="dall-e-3")

    def lock(tx: Transaction, name: str) -> None:
        row = select(extensions.c.id).where(extensions.c.id == name)
        tx.connection.execute(row.with_for_update(nowait=True)).one()

    database = harness.bench.database
    _, handed_out = overlapping(database, lambda tx: lock(tx, "a"), harness.assign, then=lambda tx: lock(tx, "z"))
    assert handed_out == 2


# -- files


@pytest.fixture
def job(bench: Bench) -> Job:
    """A job whose picture can be fetched."""
    bench.fetch.answers[URL] = PNG
    return downloading_job(bench, URL)


def test_a_download_cannot_complete_with_a_file_that_a_sweep_has_abandoned(bench: Bench, job: Job) -> None:
    def given_up_meanwhile() -> bytes:
        assert len(bench.database.write(lambda tx: images.give_up_intended(tx, FUTURE, 10))) == 1
        return PNG

    bench.fetch.answers[URL] = given_up_meanwhile
    assert run(bench, job).status is Status.DOWNLOADING
    assert bench.files() == []
    bench.fetch.answers[URL] = PNG
    make_due(bench, job)
    assert run(bench, job).status is Status.COMPLETED
    assert len(bench.files()) == 1
