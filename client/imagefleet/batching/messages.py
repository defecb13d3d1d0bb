"""What the threads of a batch tell the main one."""

from __future__ import annotations

from dataclasses import dataclass

from imagefleet.batching.entries import Entry
from imagefleet.batching.ledger import Task
from imagefleet.errors import ImagefleetError
from imagefleet.models import Batch, BatchItem


@dataclass(frozen=True, slots=True)
class Progressed:
    """The batch is in this state."""

    batch: Batch


@dataclass(frozen=True, slots=True)
class Ended:
    """An item has ended."""

    item: BatchItem


@dataclass(frozen=True, slots=True)
class Saved:
    """The pictures of an item are in the folder, or the reason is known why they are not."""

    task: Task
    entry: Entry


@dataclass(frozen=True, slots=True)
class Complete:
    """Every item of the batch has ended."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """The server does not answer, and is asked again."""

    error: ImagefleetError


@dataclass(frozen=True, slots=True)
class Broken:
    """Something failed for good."""

    error: Exception


Message = Progressed | Ended | Saved | Complete | Trouble | Broken
