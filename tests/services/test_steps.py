"""`steps.take` makes the transitions of the state table and no others, each with its event, in one transaction."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from app.db import jobs, queue
from app.db.engine import Database, Transaction
from app.db.jobs import Job
from app.domain import events
from app.domain.states import Status, Step
from app.services import steps
from tests.support.harness import Harness

EVENTS: dict[Step, events.Event] = {
    Step.SUBMIT: events.ImageGenerationRequestedEvent("dall-e-3", "ann"),
    Step.REUSE: events.ImageGeneratedEvent(("/generated-images/a.png",), "an-id"),
    Step.ASSIGN: events.ImageGenerationAssignedEvent("e1", 1),
    Step.REQUEUE: events.ImageGenerationRequeuedEvent("e1", 1, "ERR_TIMEOUT", "too slow"),
    Step.GENERATED: events.ImageDownloadStartedEvent("e1", 1, 1),
    Step.STORE: events.ImageGeneratedEvent(("/generated-images/a.png",)),
    Step.FAIL: events.ImageGenerationFailedEvent("ERR_TIMEOUT", "too slow"),
    Step.CANCEL: events.ImageGenerationCancelledEvent(),
    Step.REMOVE: events.ImagesRemovedEvent("requested"),
}
# Every possible step: source status, target status and event.
ARROWS = {
    ("accepted", "raise"): ("accepted", None),
    ("accepted", "hold"): ("accepted", None),
    ("accepted", "release"): ("accepted", None),
    ("accepted", "follow"): ("accepted", None),
    ("accepted", "reuse"): ("completed", "ImageGeneratedEvent"),
    ("accepted", "assign"): ("processing", "ImageGenerationAssignedEvent"),
    ("accepted", "fail"): ("failed", "ImageGenerationFailedEvent"),
    ("accepted", "cancel"): ("cancelled", "ImageGenerationCancelledEvent"),
    ("processing", "progress"): ("processing", None),
    ("processing", "requeue"): ("accepted", "ImageGenerationRequeuedEvent"),
    ("processing", "generated"): ("downloading", "ImageDownloadStartedEvent"),
    ("processing", "fail"): ("failed", "ImageGenerationFailedEvent"),
    ("processing", "cancel"): ("cancelled", "ImageGenerationCancelledEvent"),
    ("downloading", "fetch"): ("downloading", None),
    ("downloading", "requeue"): ("accepted", "ImageGenerationRequeuedEvent"),
    ("downloading", "store"): ("completed", "ImageGeneratedEvent"),
    ("downloading", "fail"): ("failed", "ImageGenerationFailedEvent"),
    ("downloading", "cancel"): ("cancelled", "ImageGenerationCancelledEvent"),
    ("completed", "remove"): ("completed", "ImagesRemovedEvent"),
}


def job_with(harness: Harness, status: Status) -> Job:
    """Add a job with this status."""
    job = harness.submit()
    harness.update_job(job, status=status.value)
    harness.bench.bus.changes.clear()
    return harness.reload(job)


def take(
    harness: Harness, job: Job, step: Step, expected: Mapping[str, Any] | None = None, **values: Any
) -> Job | None:
    event = EVENTS.get(step)
    return harness.bench.database.write(
        lambda tx: steps.take(harness.bench.ports, tx, step, job.id, expected, event=event, **values)
    )


@pytest.mark.parametrize("status", list(Status))
def test_a_step_that_is_not_in_the_table_changes_nothing(harness: Harness, status: Status) -> None:
    job = job_with(harness, status)
    before = harness.events(job)
    absent = [step for step in Step if (status, step) not in ARROWS]
    assert absent
    for step in absent:
        assert take(harness, job, step, progress=99) is None, step
    assert harness.reload(job) == job
    assert harness.events(job) == before
    assert harness.bench.bus.changes == []


@pytest.mark.parametrize(("status", "step"), ARROWS)
def test_a_step_leads_to_its_target_status_and_stores_its_event(harness: Harness, status: Status, step: Step) -> None:
    target, event = ARROWS[status, step]
    job = job_with(harness, Status(status))
    moved = take(harness, job, Step(step))
    assert moved is not None
    assert moved == harness.reload(job)
    assert (moved.status, moved.version) == (target, job.version + 1)
    wanted = ["ImageGenerationRequestedEvent", *([] if event is None else [event])]
    assert [(event.seq, event.type) for event in harness.events(job)] == list(enumerate(wanted, 1))
    last = harness.events(job)[-1]
    assert event is None or (last.status, last.at) == (target, moved.updated_at)
    seen = [(change["status"], change["version"], change["lastEvent"]) for change in harness.bench.bus.changes]
    assert seen == ([] if step == "fetch" else [(target, 2, len(wanted))])  # a fetch is not visible


@pytest.mark.parametrize("step", list(Step))
def test_a_step_is_refused_with_an_event_of_another_step(harness: Harness, step: Step) -> None:
    job = harness.submit()
    for event in [None, *EVENTS.values()]:
        if type(event) is type(EVENTS.get(step)):
            continue
        with pytest.raises(TypeError, match=str(step)):
            harness.bench.database.write(
                lambda tx, event=event: steps.take(harness.bench.ports, tx, step, job.id, event=event)  # type: ignore[misc]
            )
    assert harness.reload(job) == job


def test_events_are_numbered_without_gaps_even_if_steps_add_none(harness: Harness) -> None:
    holder, job = harness.connect_and_start()
    for percent in (10, 20, 30):
        harness.report_progress(holder, job, percent)
    harness.report_failure(holder, job)
    harness.update_extension(cooldown_until=0)
    harness.assign()
    harness.report_image(holder, job)
    logged = harness.events(job)
    assert [event.seq for event in logged] == list(range(1, len(logged) + 1))
    assert harness.reload(job).last_event == len(logged)
    assert harness.event_types(job) == [
        "ImageGenerationRequestedEvent",
        "ImageGenerationAssignedEvent",
        "ImageGenerationRequeuedEvent",
        "ImageGenerationAssignedEvent",
        "ImageDownloadStartedEvent",
    ]


def test_concurrent_steps_number_their_events_without_gaps(harness: Harness) -> None:
    job = harness.submit()

    def there_and_back(n: int) -> None:
        take(harness, job, Step.ASSIGN, holder=f"e{n}", attempt=n)
        take(harness, job, Step.REQUEUE, {"attempt": n})

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(there_and_back, range(1, 25)))
    seqs = [event.seq for event in harness.events(job)]
    assert seqs == list(range(1, harness.reload(job).last_event + 1))


def test_a_change_and_its_event_are_rolled_back_together_without_notification(harness: Harness) -> None:
    job = harness.submit()
    harness.bench.bus.changes.clear()
    before = harness.events(job)

    def work(tx: Transaction) -> None:
        steps.take(harness.bench.ports, tx, Step.CANCEL, job.id, event=EVENTS[Step.CANCEL])
        raise RuntimeError("the process dies")

    with pytest.raises(RuntimeError):
        harness.bench.database.write(work)
    assert harness.reload(job) == job
    assert harness.events(job) == before
    assert harness.bench.bus.changes == []


class LookingTasks:
    """Records, at each wake-up, what another connection can read."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.seen: list[Status] = []

    def assign(self) -> None:
        with ThreadPoolExecutor(1) as another:
            waiting = another.submit(self.database.read, lambda c: queue.some(c, 10)).result()
        self.seen += [Status.ACCEPTED for _ in waiting]

    def download(self) -> None:
        with ThreadPoolExecutor(1) as another:
            is_due = another.submit(self.database.read, jobs.any_download_due).result()
        self.seen += [Status.DOWNLOADING] if is_due else []


def test_wake_ups_are_sent_only_after_the_commit(harness: Harness) -> None:
    holder = harness.connect()
    tasks = LookingTasks(harness.bench.database)
    awake = Harness.of(harness.bench.with_ports(tasks=tasks))
    job = awake.submit()
    assert tasks.seen == [Status.ACCEPTED]
    awake.assign()
    awake.report_image(holder, job)
    assert tasks.seen == [Status.ACCEPTED, Status.DOWNLOADING]


def test_a_change_contains_enough_to_show_the_status(harness: Harness) -> None:
    holder, job = harness.connect_and_start()
    harness.report_progress(holder, job, 40, status="Painting")
    received = harness.bench.bus.changes[-1]
    job = harness.reload(job)
    assert {name: received[name] for name in ("requestId", "status", "progress", "message")} == {
        "requestId": job.id,
        "status": "processing",
        "progress": 40,
        "message": "Painting",
    }
    assert (received["version"], received["lastEvent"]) == (job.version, 2)
