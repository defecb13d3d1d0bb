"""Events in the life of a batch. Each is stored in the same transaction as the change that it describes."""

from collections.abc import Mapping
from dataclasses import dataclass

from app.domain.events import Event


@dataclass(frozen=True, slots=True)
class BatchCreatedEvent(Event):
    """A client's batch was accepted."""

    items: int


@dataclass(frozen=True, slots=True)
class BatchItemsAddedEvent(Event):
    """Items were added."""

    items: int


@dataclass(frozen=True, slots=True)
class BatchItemsRetriedEvent(Event):
    """Items are tried again, each as a new request."""

    items: int


@dataclass(frozen=True, slots=True)
class BatchItemEndedEvent(Event):
    """An item has ended. `index` counts from 1; `code` says why it failed."""

    index: int
    request_id: str
    status: str
    custom_id: str | None = None
    code: str | None = None


@dataclass(frozen=True, slots=True)
class BatchPausedEvent(Event):
    """No item is handed out until the batch is resumed."""

    paused_by: str | None = None


@dataclass(frozen=True, slots=True)
class BatchResumedEvent(Event):
    """Items are handed out again."""


@dataclass(frozen=True, slots=True)
class BatchChangedEvent(Event):
    """The batch has these name, concurrency and priority now; what stayed the same is left out."""

    name: str | None = None
    concurrency: int | None = None
    priority: str | None = None


@dataclass(frozen=True, slots=True)
class BatchFinishedEvent(Event):
    """Every item has ended. `counts` are by status; the batch's own is `completed` or `cancelled`."""

    status: str
    counts: Mapping[str, int]


BATCH_EVENTS = (
    BatchCreatedEvent,
    BatchItemsAddedEvent,
    BatchItemsRetriedEvent,
    BatchItemEndedEvent,
    BatchPausedEvent,
    BatchResumedEvent,
    BatchChangedEvent,
    BatchFinishedEvent,
)
