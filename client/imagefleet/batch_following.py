"""Following a batch: each item once as it ends, with a few bytes of memory for each."""

from __future__ import annotations

import hashlib
from array import array

from imagefleet.calls import batches
from imagefleet.errors import BadAnswer
from imagefleet.flows import Emit, Flow, Patience, each, listed, retried
from imagefleet.models import BatchEvent, BatchItem
from imagefleet.models.images import FINAL
from imagefleet.retrying import OnRetry
from imagefleet.streaming import of_batch

PAGE_SIZE = 200
# Items that end together are often neighbours: one request finds several.
NEIGHBOURS = 20
# So that a number which cannot be one does not fill the memory.
MOST_ITEMS = 10_000_000
ENDED = "BatchItemEndedEvent"


def followed(batch_id: str, faults_s: float, on_retry: OnRetry | None = None, page_size: int = PAGE_SIZE) -> Flow[None]:
    """Emit each item as it ends, those that have ended already at first; one that is tried again, again when that ends.

    What has ended is listed, then events say what ends, and at the end it is listed once more: events may be missing, and an
    item may have been tried again in between.
    """
    patience, known = Patience(faults_s, on_retry=on_retry), _Emitted()
    yield from _emit_final(batch_id, known, patience, page_size)

    def handle(event: BatchEvent) -> Flow[None]:
        index, request_id = event.data.get("index"), event.data.get("requestId")
        if event.type != ENDED or not isinstance(index, int) or known.has(index, str(request_id)):
            return
        page = yield from retried(
            batches.items(batch_id, status=None, page_size=NEIGHBOURS).page(str(index - 1)), patience
        )
        for item in page.items:
            if item.is_final and known.add(item):
                yield Emit(item)

    yield from each(of_batch(batches.events(batch_id), None, faults_s, on_retry), handle)
    yield from _emit_final(batch_id, known, patience, page_size)


def _emit_final(batch_id: str, known: _Emitted, patience: Patience, page_size: int) -> Flow[None]:
    def handle(item: BatchItem) -> Flow[None]:
        if item.is_final and known.add(item):
            yield Emit(item)

    for status in sorted(FINAL):
        yield from each(listed(batches.items(batch_id, status=status, page_size=page_size), patience), handle)


class _Emitted:
    """Which items were emitted, and for which requests: 8 bytes for each."""

    def __init__(self) -> None:
        self._marks = array("Q")

    def has(self, index: int, request_id: str) -> bool:
        """True if this request was emitted as this item."""
        return 0 <= index < len(self._marks) and self._marks[index] == _mark(request_id)

    def add(self, item: BatchItem) -> bool:
        """Remember it. False if it was emitted already."""
        if not 0 < item.index <= MOST_ITEMS:
            raise BadAnswer(f"The server sent something unexpected: an item with the number {item.index}.")
        if self.has(item.index, item.request_id):
            return False
        if item.index >= len(self._marks):
            self._marks.extend([0] * (item.index + 1 - len(self._marks)))
        self._marks[item.index] = _mark(item.request_id)
        return True


def _mark(request_id: str) -> int:
    return int.from_bytes(hashlib.blake2b(request_id.encode(), digest_size=8).digest()) or 1
