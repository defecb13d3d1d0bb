"""Batches: many requests that are submitted, followed and controlled together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from app.domain.fair_queueing import Priority


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
    line: int = 0


@dataclass(frozen=True, slots=True)
class ItemError:
    """Why an item is refused. `field` is its name on the wire, None if the item as a whole is wrong."""

    line: int
    custom_id: str | None
    field: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class ParsedBatch:
    """What a client sent: the valid items in their order, and what is wrong with the others."""

    items: Sequence[BatchItem]
    errors: Sequence[ItemError] = ()
