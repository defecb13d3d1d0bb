"""Pausing and resuming the queue: everything, a model, a user, an extension."""

from __future__ import annotations

import pytest

from app.db import pauses
from app.db.tables import queue_pauses
from app.domain.errors import InvalidRequest, NotFound
from app.domain.fair_queueing import Priority
from app.domain.image_request import ImageRequest
from app.domain.pauses import EVERYTHING, PauseKind, PauseTarget
from app.services.queue_controls import RELEASED_FOR_MS
from tests.support.harness import HOUR, Harness

ANN = PauseTarget(PauseKind.USER, "ann")
E1 = PauseTarget(PauseKind.EXTENSION, "e1")
FLUX = PauseTarget.of_model("Flux")


def pause(harness: Harness, target: PauseTarget, ms_ago: int = 0, **more: object) -> None:
    """Pause this, since that long ago."""
    harness.services.queue_controls.pause(target, **more)  # type: ignore[arg-type]
    update(harness, target.kind, paused_at=harness.now() - ms_ago)


def update(harness: Harness, kind: str, **values: object) -> None:
    """Set columns of the pauses of this kind, to simulate that time has passed."""
    statement = queue_pauses.update().where(queue_pauses.c.kind == kind).values(**values)
    harness.bench.database.write(lambda tx: tx.connection.execute(statement))


def resume(harness: Harness, target: PauseTarget) -> bool:
    return harness.services.queue_controls.resume(target)


@pytest.mark.parametrize("waiting", [1, 20])
def test_while_everything_is_paused_nothing_is_handed_out(harness: Harness, waiting: int) -> None:
    harness.connect(max_concurrent=50)
    for _ in range(waiting):
        harness.submit()
    pause(harness, EVERYTHING)
    assert harness.assign() == 0
    before = harness.bench.tasks.assigns
    assert resume(harness, EVERYTHING)
    assert harness.bench.tasks.assigns == before + 1
    assert harness.assign() == waiting


@pytest.mark.parametrize("waiting", [1, 20])
def test_the_queue_of_a_paused_model_is_not_read(harness: Harness, waiting: int) -> None:
    harness.connect(max_concurrent=50)
    for _ in range(waiting):
        harness.submit(model="FLUX")
    other = harness.submit(model="a-model")
    pause(harness, FLUX)
    assert harness.assign() == 1
    assert harness.reload(other).holder == "e1"
    resume(harness, FLUX)
    assert harness.assign() == waiting


def test_requests_that_name_no_model_wait_while_the_default_one_is_paused(harness: Harness) -> None:
    job = harness.services.submission.submit(ImageRequest("a fox", None, "ann"), "correlation-1").job
    harness.connect("e1", "flux")
    pause(harness, PauseTarget.of_model("dall-e-3"))
    assert harness.assign() == 0
    resume(harness, PauseTarget.of_model("dall-e-3"))
    assert harness.assign() == 1
    assert harness.reload(job).holder == "e1"


def test_a_paused_extension_ends_what_it_holds_and_gets_nothing_new(harness: Harness) -> None:
    holder = harness.connect(max_concurrent=2)
    started, waiting = harness.submit_and_start(), harness.submit()
    pause(harness, E1)
    assert harness.assign() == 0
    harness.report_image(holder, started)
    assert harness.reload(started).status == "downloading"
    assert harness.assign() == 0
    resume(harness, E1)
    assert harness.assign() == 1
    assert harness.reload(waiting).holder == "e1"


def test_an_extension_is_draining_until_it_holds_nothing(harness: Harness) -> None:
    holder, started = harness.connect_and_start()
    pause(harness, E1, drain=True)

    def standing() -> str:
        [entry] = harness.services.fleet.page(None, None, 20).extensions
        return entry.standing.value

    assert standing() == "draining"
    harness.report_image(holder, started)
    assert standing() == "drained"
    harness.services.extensions.disconnected(holder.connection_id)
    assert standing() == "drained"
    resume(harness, E1)
    assert standing() == "away"


def test_an_extension_that_is_paused_without_draining_shows_as_paused(harness: Harness) -> None:
    harness.connect()
    pause(harness, E1, note="Its profile is being updated")
    [entry] = harness.services.fleet.page(None, None, 20).extensions
    assert (entry.standing, entry.pause) == ("paused", None)
    assert entry.paused_by_operator is not None
    assert entry.paused_by_operator.note == "Its profile is being updated"


def test_the_requests_of_a_paused_user_are_held_back_also_new_ones(harness: Harness) -> None:
    harness.connect(max_concurrent=9)
    before = harness.submit("ann")
    pause(harness, ANN)
    after, other = harness.submit("ann"), harness.submit("bob")
    assert harness.assign() == 1
    assert harness.reload(other).holder == "e1"
    assert all(harness.reload(job).held_since for job in (before, after))
    resume(harness, ANN)
    assert harness.assign() == 2
    assert harness.reload(before).holder == harness.reload(after).holder == "e1"


def test_a_request_of_a_paused_user_that_returns_to_the_queue_is_held_back(harness: Harness) -> None:
    holder, job = harness.connect_and_start(user="ann")
    pause(harness, ANN)
    harness.report_failure(holder, job)
    harness.connect("e2")
    assert harness.assign() == 0
    assert harness.reload(job).held_since is not None
    resume(harness, ANN)
    assert harness.assign() == 1
    assert harness.reload(job).holder == "e2"


def test_the_sweep_holds_what_entered_the_queue_at_the_moment_of_the_pause(harness: Harness) -> None:
    pause(harness, ANN)
    job = harness.submit("ann")
    harness.update_job(job, held_since=None)
    harness.sweep()
    assert harness.reload(job).held_since is not None


def test_the_sweep_releases_what_was_submitted_at_the_moment_of_the_resumption(harness: Harness) -> None:
    pause(harness, ANN)
    resume(harness, ANN)
    late = harness.submit("ann")
    harness.update_job(late, held_since=harness.now())
    harness.sweep()
    assert harness.reload(late).held_since is None
    update(harness, pauses.RESUMED, paused_at=harness.now() - RELEASED_FOR_MS)
    harness.sweep()
    assert harness.bench.database.read(pauses.resumed_users) == []


def test_a_user_who_is_paused_again_stays_paused(harness: Harness) -> None:
    pause(harness, ANN)
    resume(harness, ANN)
    pause(harness, ANN)
    job = harness.submit("ann")
    harness.sweep()
    assert harness.reload(job).held_since is not None


@pytest.mark.parametrize("target", [EVERYTHING, FLUX, ANN, E1])
def test_the_sweep_ends_a_pause_at_its_end(harness: Harness, target: PauseTarget) -> None:
    harness.connect()
    job = harness.submit("ann", model="flux")
    pause(harness, target, until=harness.now() + HOUR)
    harness.sweep()
    assert harness.assign() == 0
    update(harness, target.kind, until=harness.now())
    harness.sweep()
    assert list(harness.services.queue_controls.list()) == []
    assert harness.assign() == 1
    assert harness.reload(job).holder == "e1"


@pytest.mark.parametrize("target", [EVERYTHING, FLUX])
def test_no_request_fails_for_waiting_while_its_queue_is_paused(harness: Harness, target: PauseTarget) -> None:
    harness = harness.with_settings(queue_timeout_ms=HOUR)
    job = harness.submit(model="flux")
    harness.sweep()
    harness.leave_unserved(job)
    harness.update_job(job, queued_at=harness.now() - 2 * HOUR)
    pause(harness, target, ms_ago=2 * HOUR)
    harness.sweep()
    assert harness.reload(job).status == "accepted"
    resume(harness, target)
    harness.sweep()
    assert harness.reload(job).status == "accepted", "the time of the pause does not count"
    harness.update_job(job, queued_at=harness.now() - HOUR)
    harness.sweep()
    assert harness.reload(job).status == "failed"


@pytest.mark.parametrize("target", [EVERYTHING, FLUX])
def test_no_request_ages_while_its_queue_is_paused(harness: Harness, target: PauseTarget) -> None:
    harness = harness.with_settings(queue_age_ms=HOUR)
    job = harness.submit(model="flux", priority=Priority.LOW)
    other = harness.submit("bob", model="other", priority=Priority.LOW)
    for each in (job, other):
        harness.update_job(each, queued_at=harness.now() - HOUR)
    pause(harness, target)
    harness.services.housekeeping.ageing.raise_aged()
    assert harness.reload(job).priority == Priority.LOW
    assert harness.reload(other).priority == (Priority.LOW if target is EVERYTHING else Priority.NORMAL)


def test_of_pauses_that_overlap_each_moment_counts_once(harness: Harness) -> None:
    job = harness.submit(model="flux")
    now = harness.now()
    harness.update_job(job, queued_at=now - 10 * HOUR)
    pause(harness, FLUX, ms_ago=8 * HOUR)
    pause(harness, EVERYTHING, ms_ago=6 * HOUR)
    resume(harness, FLUX)
    assert harness.reload(job).queued_at == pytest.approx(now - 8 * HOUR, abs=60_000)
    resume(harness, EVERYTHING)
    assert harness.reload(job).queued_at == pytest.approx(now - 2 * HOUR, abs=60_000)


def test_a_model_that_stays_paused_is_made_up_for_only_until_its_own_pause_began(harness: Harness) -> None:
    job = harness.submit(model="flux")
    now = harness.now()
    harness.update_job(job, queued_at=now - 10 * HOUR)
    pause(harness, EVERYTHING, ms_ago=8 * HOUR)
    pause(harness, FLUX, ms_ago=6 * HOUR)
    resume(harness, EVERYTHING)
    assert harness.reload(job).queued_at == pytest.approx(now - 8 * HOUR, abs=60_000)
    resume(harness, FLUX)
    assert harness.reload(job).queued_at == pytest.approx(now - 2 * HOUR, abs=60_000)


def test_a_pause_ends_in_the_future(harness: Harness) -> None:
    with pytest.raises(InvalidRequest, match="until must lie in the future"):
        pause(harness, EVERYTHING, until=harness.now() - 1)
    assert list(harness.services.queue_controls.list()) == []


def test_only_extensions_that_exist_are_paused_or_drained(harness: Harness) -> None:
    with pytest.raises(NotFound, match="No extension e1 has ever connected"):
        pause(harness, E1)
    with pytest.raises(InvalidRequest, match="name it as extensionId"):
        pause(harness, ANN, drain=True)


def test_resuming_what_is_not_paused_changes_nothing(harness: Harness) -> None:
    assert not resume(harness, EVERYTHING)


def test_a_resumption_that_a_crash_interrupted_is_completed_by_the_sweep(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.services.queue_controls.AT_ONCE", 2)
    jobs = [harness.submit() for _ in range(5)]
    now = harness.now()
    for job in jobs:
        harness.update_job(job, queued_at=now - 3 * HOUR)
    pause(harness, EVERYTHING, ms_ago=HOUR)
    end = harness.services.queue_controls._end
    assert harness.bench.database.write(lambda tx: end(EVERYTHING, None, tx)) is True
    assert list(harness.services.queue_controls.list()), "it is still paused"
    harness.sweep()
    assert list(harness.services.queue_controls.list()) == []
    assert [harness.reload(job).queued_at for job in jobs] == pytest.approx([now - 2 * HOUR] * 5, abs=60_000)
