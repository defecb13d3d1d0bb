"""The state table of a request. The diagram in docs/architecture.md is generated from it, and a test compares them."""

from dataclasses import dataclass
from enum import StrEnum

from app.domain import events


class Status(StrEnum):
    """The status of a request. The contract defines the first five; `cancelled` is an addition."""

    ACCEPTED = "accepted"
    PROCESSING = "processing"
    DOWNLOADING = "downloading"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


OPEN = frozenset({Status.ACCEPTED, Status.PROCESSING, Status.DOWNLOADING})
FINAL = frozenset({Status.COMPLETED, Status.FAILED, Status.CANCELLED})


class Step(StrEnum):
    SUBMIT = "submit"
    RAISE = "raise"
    HOLD = "hold"
    RELEASE = "release"
    FOLLOW = "follow"
    REUSE = "reuse"
    ASSIGN = "assign"
    PROGRESS = "progress"
    REQUEUE = "requeue"
    GENERATED = "generated"
    FETCH = "fetch"
    STORE = "store"
    FAIL = "fail"
    CANCEL = "cancel"
    REMOVE = "remove"


@dataclass(frozen=True, slots=True)
class Transition:
    """One row: the step may be taken from any of `sources`, leads to `target` and adds `event` to the log."""

    step: Step
    sources: frozenset[Status]
    target: Status
    event: type[events.Event] | None

    @property
    def ends(self) -> bool:
        """True if the request becomes final by it."""
        return self.target in FINAL and self.target not in self.sources


ACCEPTED, PROCESSING, DOWNLOADING = (frozenset({s}) for s in (Status.ACCEPTED, Status.PROCESSING, Status.DOWNLOADING))

_TRANSITIONS = (
    Transition(Step.SUBMIT, frozenset(), Status.ACCEPTED, events.ImageGenerationRequestedEvent),
    Transition(Step.RAISE, ACCEPTED, Status.ACCEPTED, None),
    Transition(Step.HOLD, ACCEPTED, Status.ACCEPTED, None),
    Transition(Step.RELEASE, ACCEPTED, Status.ACCEPTED, None),
    Transition(Step.FOLLOW, ACCEPTED, Status.ACCEPTED, None),
    Transition(Step.REUSE, ACCEPTED, Status.COMPLETED, events.ImageGeneratedEvent),
    Transition(Step.ASSIGN, ACCEPTED, Status.PROCESSING, events.ImageGenerationAssignedEvent),
    Transition(Step.PROGRESS, PROCESSING, Status.PROCESSING, None),
    Transition(Step.REQUEUE, PROCESSING | DOWNLOADING, Status.ACCEPTED, events.ImageGenerationRequeuedEvent),
    Transition(Step.GENERATED, PROCESSING, Status.DOWNLOADING, events.ImageDownloadStartedEvent),
    Transition(Step.FETCH, DOWNLOADING, Status.DOWNLOADING, None),
    Transition(Step.STORE, DOWNLOADING, Status.COMPLETED, events.ImageGeneratedEvent),
    Transition(Step.FAIL, OPEN, Status.FAILED, events.ImageGenerationFailedEvent),
    Transition(Step.CANCEL, OPEN, Status.CANCELLED, events.ImageGenerationCancelledEvent),
    Transition(Step.REMOVE, frozenset({Status.COMPLETED}), Status.COMPLETED, events.ImagesRemovedEvent),
)
TABLE: dict[Step, Transition] = {transition.step: transition for transition in _TRANSITIONS}


def diagram() -> str:
    """The table as a Mermaid state diagram."""
    arrows = [
        f"{source} --> {transition.target}: {transition.step}"
        for transition in TABLE.values()
        for source in [str(status) for status in Status if status in transition.sources] or ["[*]"]
    ]
    ends = [f"{status} --> [*]" for status in Status if status in FINAL]
    return "\n".join(["stateDiagram-v2", *(f"    {line}" for line in arrows + ends)])
