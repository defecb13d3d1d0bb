"""Batches: many requests that are submitted, followed and controlled together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from operator import attrgetter
from typing import Any, Self

from app.domain import image_request
from app.domain.fair_queueing import Priority
from app.domain.image_request import CacheMode, ImageRequest
from app.domain.webhooks import Target

DEFAULT_CONCURRENCY = 32
CONCURRENCY = (1, 1_000)
NAME_CHARS = 200
ERRORS_LISTED = 100


class BatchStatus(StrEnum):
    """`completed`: every item has ended, in whatever way."""

    RUNNING = "running"
    PAUSED = "paused"
    COMPLETED = "completed"
    CANCELLED = "cancelled"


ENDED = frozenset({BatchStatus.COMPLETED, BatchStatus.CANCELLED})


def clean_name(value: object) -> str | None:
    """A name for people: up to 200 characters. Raises InvalidRequest."""
    return None if value is None else image_request.clean_text("name", value, NAME_CHARS)


def clean_concurrency(value: object) -> int | None:
    """How many items may be in the queue or beyond it at once: 1 to 1,000. Raises InvalidRequest."""
    return None if value is None else image_request.whole_number("concurrency", value, CONCURRENCY)


@dataclass(frozen=True, slots=True)
class BatchItem:
    """A valid item of a batch, before the batch's defaults and style are applied.

    `line` is where it stands in what the client sent: its line in a text, its number from 1 in a JSON list.
    """

    prompt: str
    custom_id: str | None = None
    model: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    priority: Priority | None = None
    keep_days: int | None = None
    line: int = 0


@dataclass(frozen=True, slots=True)
class ItemError:
    """Why an item is refused. `field` is its name on the wire, None if the item as a whole is wrong."""

    line: int
    custom_id: str | None
    field: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class LeftOut:
    """The items that a batch was made without: how many, and the first things that are wrong with them."""

    count: int = 0
    errors: Sequence[ItemError] = ()

    def and_also(self, errors: Sequence[ItemError]) -> Self:
        """These and more items, each with one error."""
        listed = sorted([*self.errors, *errors], key=attrgetter("line"))
        return type(self)(self.count + len(errors), listed[:ERRORS_LISTED])


_STORED = {
    "model": "model",
    "parameters": "parameters",
    "style": "style",
    "variables": "variables",
    "priority": "priority",
    "deadline_ms": "deadlineMs",
    "cache": "cache",
    "keep_days": "keep",
}


@dataclass(frozen=True, slots=True)
class BatchDefaults:
    """What holds for every item that says nothing else. `deadline_ms` runs from an item's release into the queue."""

    model: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    style: str | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    priority: Priority | None = None
    deadline_ms: int | None = None
    cache: CacheMode = CacheMode.OFF
    keep_days: int | None = None

    @classmethod
    def restored(cls, stored: Mapping[str, Any]) -> Self:
        """Those that `stored` has made this of."""
        values = {name: stored[wire] for name, wire in _STORED.items() if wire in stored}
        if "priority" in values:
            values["priority"] = Priority[values["priority"].upper()]
        if "cache" in values:
            values["cache"] = CacheMode(values["cache"])
        return cls(**values)

    def stored(self) -> dict[str, Any]:
        """Those that are set, by their names on the wire."""
        values = {wire: getattr(self, name) for name, wire in _STORED.items()}
        if self.priority is not None:
            values["priority"] = self.priority.word
        values["cache"] = None if self.cache is CacheMode.OFF else self.cache.value
        return {name: value for name, value in values.items() if value not in (None, {})}

    def applied_to(self, item: BatchItem, user_id: str) -> ImageRequest:
        """The request that the item is, before its style is applied."""
        return ImageRequest(
            prompt=item.prompt,
            model=item.model or self.model,
            user_id=user_id,
            parameters={**self.parameters, **item.parameters},
            style=self.style,
            variables={**self.variables, **item.variables},
            priority=self.priority if item.priority is None else item.priority,
            cache=self.cache,
            keep_days=self.keep_days if item.keep_days is None else item.keep_days,
        )


@dataclass(frozen=True, slots=True)
class NewBatch:
    """A batch as a client submits it. At most `concurrency` of its items are in the queue or beyond it at once."""

    user_id: str
    items: Sequence[BatchItem]
    defaults: BatchDefaults = field(default_factory=BatchDefaults)
    name: str | None = None
    concurrency: int = DEFAULT_CONCURRENCY
    webhook: Target | None = None


@dataclass(frozen=True, slots=True)
class ItemEdit:
    """An item that is to be tried again, named by its number or by its client's id, and what is different then."""

    index: int | None = None
    custom_id: str | None = None
    prompt: str | None = None
    parameters: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Estimate:
    """In how many ms the items that are left will have ended: probably, and in nine of ten cases."""

    p50_ms: int
    p90_ms: int


def estimate(left: int, spans: Sequence[tuple[int, int]]) -> Estimate | None:
    """From when other items were started and finished (ms); None if none were, or none are left.

    How many are made at once is how long these took together, by the time from the first start to the last finish.
    """
    if not left or not spans:
        return None
    durations = sorted(finished - started for started, finished in spans)
    elapsed = max(finished for _, finished in spans) - min(started for started, _ in spans)
    at_once = max(1.0, sum(durations) / elapsed) if elapsed > 0 else float(len(spans))
    rounds = max(1.0, left / at_once)
    median, late = durations[len(durations) // 2], durations[len(durations) * 9 // 10]
    return Estimate(round(rounds * median), round(rounds * late))
