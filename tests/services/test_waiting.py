"""What waiting requests show: when they will start, which slots they may get, what stands in their way."""

from __future__ import annotations

import pytest

from app.container import build
from app.db.jobs import Job
from app.db.tables import batches, queue_pauses
from app.domain.eta import Eta
from app.domain.image_request import ImageRequest
from app.domain.pauses import EVERYTHING, PauseKind, PauseTarget
from app.services.waiting import COUNTED_AHEAD, HAND_OFF_MS, QueueInfo
from tests.support.downloads import PNG
from tests.support.fakes import Bench
from tests.support.harness import HOUR, PICTURE, Harness
from tests.support.statements import recorded_statements

NOW_MS = 60_000  # how long a test may take


def queue_of(harness: Harness, job: Job) -> QueueInfo:
    found = harness.services.lookup.details(job.id).queue
    assert found is not None
    return found


def made(harness: Harness, count: int, took_ms: int, user: str = "ann") -> None:
    """Let the extension e1 make so many pictures, each of which took that long."""
    harness.bench.fetch.answers[PICTURE] = PNG
    holder = harness.connect("e1")
    for _ in range(count):
        job = harness.submit_and_start(user=user)
        harness.report_image(holder, job)
        harness.run_downloads()
        generated_at = harness.reload(job).generated_at or 0
        harness.update_job(job, started_at=generated_at - took_ms)


def test_of_120_requests_of_one_user_and_a_later_one_of_another_the_later_one_is_next(harness: Harness) -> None:
    holder = harness.connect("e1")
    alices = [harness.submit("alice") for _ in range(120)]
    for job in alices[:25]:  # 50 s, if each takes 2 s
        assert harness.assign() == 1
        harness.report_image(holder, harness.reload(job))
    assert harness.assign() == 1
    bobs = harness.services.submission.submit(ImageRequest("a fox", "dall-e-3", "bob"), "correlation-1")
    assert bobs.queue is not None
    assert (bobs.queue.position, bobs.queue.reason_code) == (1, "BUSY")
    harness.report_image(holder, harness.reload(alices[25]))
    assert harness.assign() == 1
    assert harness.reload(bobs.job).holder == "e1"
    assert queue_of(harness, alices[26]).position == 1


def test_a_request_with_a_free_slot_starts_now(harness: Harness) -> None:
    harness.connect("e1")
    info = queue_of(harness, harness.submit())
    assert (info.reason_code, info.eta) == ("ABOUT_TO_START", Eta(0, HAND_OFF_MS))
    assert (info.eligible_extensions, info.busy_slots, info.total_slots) == (1, 0, 1)


def test_without_measured_durations_nothing_is_said_about_the_start(harness: Harness) -> None:
    harness.connect_and_start()
    info = queue_of(harness, harness.submit())
    assert (info.reason_code, info.busy_slots, info.eta) == ("BUSY", 1, None)


def test_the_start_is_estimated_from_the_durations_of_the_model(harness: Harness) -> None:
    made(harness, 3, took_ms=10_000)
    harness.submit_and_start()
    waiting = [harness.submit() for _ in range(5)]
    first, last = queue_of(harness, waiting[0]), queue_of(harness, waiting[-1])
    assert (first.position, last.position) == (1, 5)
    assert first.eta is not None
    assert last.eta is not None
    assert 3_000 < first.eta.p50_ms < 10_000
    assert 40_000 < last.eta.p50_ms < 50_000 < last.eta.p90_ms < 70_000
    assert queue_of(harness, harness.submit(model="flux")).eta is None, "nothing was measured of that model"


def test_models_that_share_an_extension_take_turns_in_the_estimate(harness: Harness) -> None:
    made(harness, 3, took_ms=10_000)
    harness.submit_and_start()
    waiting = [harness.submit() for _ in range(5)]
    alone = queue_of(harness, waiting[-1]).eta
    harness.submit(model="flux")
    shared = queue_of(harness, waiting[-1]).eta
    assert alone is not None
    assert shared is not None
    assert shared.p50_ms > 1.5 * alone.p50_ms


def test_an_extension_that_rests_is_expected_back(harness: Harness) -> None:
    harness.connect("e1")
    harness.update_extension("e1", cooldown_until=harness.now() + HOUR, cooldown_reason="It failed.", failures=2)
    info = queue_of(harness, harness.submit())
    assert (info.reason_code, info.eligible_extensions) == ("COOLING_DOWN", 0)
    assert info.eta is not None
    assert HOUR - NOW_MS < info.eta.p50_ms <= HOUR


@pytest.mark.parametrize("target", [EVERYTHING, PauseTarget.of_model("dall-e-3")])
def test_a_pause_with_an_end_delays_the_start_and_one_without_leaves_it_open(
    harness: Harness, target: PauseTarget
) -> None:
    harness.connect("e1")
    job = harness.submit()
    harness.services.queue_controls.pause(target, until=harness.now() + HOUR)
    info = queue_of(harness, job)
    assert info.reason_code == f"PAUSED_{target.kind.name}"
    assert info.eta is not None
    assert HOUR - NOW_MS < info.eta.p50_ms <= HOUR
    harness.services.queue_controls.pause(target)
    assert queue_of(harness, job).eta is None


def test_while_a_queue_is_paused_its_requests_wait_longer(harness: Harness) -> None:
    harness.connect("e1")
    job = harness.submit()
    harness.update_job(job, queued_at=harness.now() - 2 * HOUR)
    harness.services.queue_controls.pause(EVERYTHING)
    update = queue_pauses.update().values(paused_at=harness.now() - HOUR)
    harness.bench.database.write(lambda tx: tx.connection.execute(update))
    expected = harness.now() - HOUR + harness.services.settings.queue_timeout_ms
    assert queue_of(harness, job).waits_until == pytest.approx(expected, abs=NOW_MS)


def test_an_extension_that_an_operator_paused_is_named_as_the_reason(harness: Harness) -> None:
    harness.connect("e1")
    harness.services.queue_controls.pause(PauseTarget(PauseKind.EXTENSION, "e1"))
    assert queue_of(harness, harness.submit()).reason_code == "PAUSED_EXTENSIONS"


def test_items_of_a_batch_say_whether_it_is_paused_or_busy(harness: Harness) -> None:
    batch = "00000000-0000-7000-8000-0000000000b1"
    job = harness.submit()
    harness.update_job(job, held_since=harness.now(), batch_id=batch)
    assert queue_of(harness, job).reason_code == "BATCH_CONCURRENCY"
    row = {
        "id": batch,
        "user_id": "ann",
        "correlation_id": "c",
        "status": "paused",
        "concurrency": 1,
        "defaults": {},
        "failures": {},
    }
    times = dict.fromkeys(("created_at", "updated_at", "paused_at"), 1)
    harness.bench.database.write(lambda tx: tx.connection.execute(batches.insert(), {**row, **times, "total": 1}))
    info = queue_of(harness, job)
    assert (info.reason_code, info.position, info.eta) == ("BATCH_PAUSED", None, None)


def test_a_position_is_counted_up_to_its_limit(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.services.waiting.COUNTED_AHEAD", 3)
    jobs = [harness.submit() for _ in range(6)]
    assert [queue_of(harness, job).position for job in jobs] == [1, 2, 3, 4, 4, 4]
    assert COUNTED_AHEAD == 1_000


def test_a_poll_does_not_read_the_fleet(bench: Bench) -> None:
    harness = Harness(bench, build(bench.ports, summary_age_s=HOUR))
    harness.connect("e1", "flux")
    job = harness.submit()
    first = queue_of(harness, job)
    with recorded_statements("extensions") as statements:
        assert queue_of(harness, job) == first
    assert statements == []
    harness.connect("e2")
    assert queue_of(harness, job) == first, "it is up to a second old"
    harness.services.queue_controls.pause(EVERYTHING)
    assert queue_of(harness, job).reason_code == "PAUSED_ALL", "what this process changes it shows at once"
