"""The life of a request: one table. The diagram in docs/architecture.md is drawn from it and a test compares them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from app.domain import events


class Status(StrEnum):
    """Where a request stands. The first five are the contract's words; `cancelled` is ours."""

    ACCEPTED = "accepted"
    PROCESSING = "processing"
    DOWNLOADING = "downloading"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


OPEN = frozenset({Status.ACCEPTED, Status.PROCESSING, Status.DOWNLOADING})
FINAL = frozenset({Status.COMPLETED, Status.FAILED, Status.CANCELLED})


class Step(StrEnum):
    """What can happen to a request."""

    SUBMIT = "submit"
    ASSIGN = "assign"
    PROGRESS = "progress"
    REQUEUE = "requeue"
    GENERATED = "generated"
    FETCH = "fetch"
    STORE = "store"
    FAIL = "fail"
    CANCEL = "cancel"


@dataclass(frozen=True, slots=True)
class Transition:
    """One arrow: a step may be taken from any of `sources` and leads to `target`, leaving `event` in the log."""

    step: Step
    sources: frozenset[Status]
    target: Status
    event: type[events.Event] | None
    taken_by: str
    only_if: str


def _arrow(
    step: Step,
    sources: frozenset[Status],
    target: Status,
    event: type[events.Event] | None,
    taken_by: str,
    only_if: str,
) -> tuple[Step, Transition]:
    return step, Transition(step, sources, target, event, taken_by, only_if)


ACCEPTED, PROCESSING, DOWNLOADING = (frozenset({s}) for s in (Status.ACCEPTED, Status.PROCESSING, Status.DOWNLOADING))

TABLE: dict[Step, Transition] = dict(
    (
        _arrow(Step.SUBMIT, frozenset(), Status.ACCEPTED, events.ImageGenerationRequestedEvent, "web", "valid"),
        _arrow(
            Step.ASSIGN,
            ACCEPTED,
            Status.PROCESSING,
            events.ImageGenerationAssignedEvent,
            "worker",
            "a live, capable extension has a free slot",
        ),
        _arrow(Step.PROGRESS, PROCESSING, Status.PROCESSING, None, "hub", "the lease matches; progress only rises"),
        _arrow(
            Step.REQUEUE,
            PROCESSING,
            Status.ACCEPTED,
            events.ImageGenerationRequeuedEvent,
            "worker or hub",
            "the lease is over or a refusal can be retried, and attempts are left",
        ),
        _arrow(
            Step.GENERATED,
            PROCESSING,
            Status.DOWNLOADING,
            events.ImageDownloadStartedEvent,
            "hub",
            "the lease matches",
        ),
        _arrow(Step.FETCH, DOWNLOADING, Status.DOWNLOADING, None, "worker", "it is due; one worker at a time"),
        _arrow(
            Step.STORE,
            DOWNLOADING,
            Status.COMPLETED,
            events.ImageGeneratedEvent,
            "worker",
            "bytes checked, files renamed into place",
        ),
        _arrow(
            Step.FAIL, OPEN, Status.FAILED, events.ImageGenerationFailedEvent, "hub or worker", "nothing more to try"
        ),
        _arrow(Step.CANCEL, OPEN, Status.CANCELLED, events.ImageGenerationCancelledEvent, "its owner", "not final yet"),
    )
)


def diagram() -> str:
    """The table as a Mermaid state diagram."""
    arrows = [
        f"{source} --> {transition.target}: {transition.step}"
        for transition in TABLE.values()
        for source in [str(status) for status in Status if status in transition.sources] or ["[*]"]
    ]
    ends = [f"{status} --> [*]" for status in Status if status in FINAL]
    return "\n".join(["stateDiagram-v2", *(f"    {line}" for line in arrows + ends)])
