"""Batches, their items and their events."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from imagefleet.models.base import NOTHING, Answer, Many, Time
from imagefleet.models.images import FINAL, Eta, Priority, QueuePosition


class Counts(Answer):
    """How many items a batch has, and how many of them have which status."""

    total: int = 0
    accepted: int = 0
    processing: int = 0
    downloading: int = 0
    completed: int = 0
    failed: int = 0
    cancelled: int = 0

    @property
    def ended(self) -> int:
        """How many will not change any more."""
        return self.completed + self.failed + self.cancelled


class ItemError(Answer):
    """What is wrong with an item of a batch: `line` is its line, or in JSON its number, from 1."""

    line: int | None = None
    custom_id: str | None = None
    field: str | None = None
    reason: str | None = None


class Batch(Answer):
    """A batch and how far it is: `status` is running, paused, completed (the counts say how) or cancelled.

    `progress` is in percent of the items that have ended; `failures` counts error codes. Of items that were left out because
    they are invalid, `left_out` is the number and `errors` the first 100 reasons.
    """

    batch_id: str
    status: str
    name: str | None = None
    counts: Counts = Counts()
    progress: int | None = None
    concurrency: int | None = None
    defaults: Mapping[str, Any] = NOTHING
    failures: Mapping[str, int] = NOTHING
    eta: Eta | None = None
    queue: QueuePosition | None = None
    paused_at: Time | None = None
    paused_by: str | None = None
    user_id: str | None = None
    left_out: int | None = None
    errors: Many[ItemError] = ()
    version: int | None = None
    created_at: Time | None = None
    updated_at: Time | None = None
    started_at: Time | None = None
    finished_at: Time | None = None
    correlation_id: str | None = None
    timestamp: Time | None = None

    @property
    def is_final(self) -> bool:
        """True once every item has ended."""
        return self.status in FINAL


class BatchItem(Answer):
    """An item of a batch; of several requests that tried the same one, the newest. `index` counts from 1."""

    index: int
    request_id: str
    status: str
    custom_id: str | None = None
    prompt: str | None = None
    original_prompt: str | None = None
    model: str | None = None
    progress: int | None = None
    code: str | None = None
    error: str | None = None
    retry_of: str | None = None
    updated_at: Time | None = None

    @property
    def is_final(self) -> bool:
        """True once its status can no longer change, unless it is tried again."""
        return self.status in FINAL


class BatchEvent(Answer):
    """An event of a batch, with its number `seq`. `data` is the event's own data, with the field names of the API."""

    type: str
    batch_id: str
    seq: int
    timestamp: Time | None = None
    data: Mapping[str, Any] = NOTHING


class NewItem(BaseModel):
    """An item to submit. `keep` is in days; what is None is taken from the defaults of the batch."""

    model_config = ConfigDict(extra="allow", alias_generator=to_camel, validate_by_name=True, protected_namespaces=())

    prompt: str
    custom_id: str | None = None
    model: str | None = None
    parameters: Mapping[str, Any] | None = None
    variables: Mapping[str, str] | None = None
    priority: Priority | None = None
    keep: int | None = None
