"""Checks what became of batches."""

from __future__ import annotations

from collections import Counter, defaultdict

from app.domain.batch_events import BatchItemEndedEvent
from app.domain.states import FINAL, Status
from tests.chaos.checker import ASSIGNED, Check, Findings
from tests.chaos.history import History, Row

ITEM_ENDED = BatchItemEndedEvent.__name__
COMMIT_MS = 100  # from the time in an event to its commit


def batches_keep_their_items(history: History) -> Findings:
    """A batch that was acknowledged has each of its items once, in their order, and no other one; each is in one batch."""
    accepted: dict[int, set[str]] = defaultdict(set)
    for each in history.records.batches:
        accepted[each.batch].add(each.batch_id)
    for batch, ids in accepted.items():
        wanted = list(enumerate(history.batches[batch], 1))
        if len(ids) > 1:
            yield None, f"batch {batch} was accepted {len(ids)} times: {sorted(ids)}"
        for batch_id in ids:
            current = [(row.batch_index, row.number) for row in _items(history, batch_id) if row.replaced_by is None]
            if sorted(current, key=str) != sorted(wanted, key=str):
                yield batch_id, f"its items are {sorted(current, key=str)}, not {wanted}"
    unknown = set(history.final.batches) - {batch_id for ids in accepted.values() for batch_id in ids}
    for batch_id in unknown:
        yield batch_id, "no client knows this batch"


def retries_take_the_place_of_what_ended(history: History) -> Findings:
    """A request that was replaced has ended, and its replacement is the same item of the same batch."""
    for row in history.final.rows.values():
        if row.replaced_by is None:
            continue
        new = history.final.rows.get(row.replaced_by)
        if row.status not in FINAL:
            yield row.id, f"it was replaced, but it is {row.status}"
        if new is None or (new.retry_of, _item(new)) != (row.id, _item(row)):
            yield row.id, f"it was replaced by {new}"


def batches_count_their_items(history: History) -> Findings:
    """A batch has ended, and its counts are those of its items. Its log has each end of an item once."""
    for batch in history.final.batches.values():
        items = _items(history, batch.id)
        statuses = Counter(row.status for row in items if row.replaced_by is None)
        counts = tuple(statuses[status.value] for status in (Status.COMPLETED, Status.FAILED, Status.CANCELLED))
        if batch.status not in {"completed", "cancelled"}:
            yield batch.id, f"it is still {batch.status}"
        if (batch.counts, batch.total) != (counts, sum(statuses.values())):
            yield batch.id, f"it counts {batch.counts} of {batch.total}; its items are {statuses}"
        log = history.final.batch_log[batch.id]
        if [event.seq for event in log] != list(range(1, batch.last_event + 1)):
            yield batch.id, f"its events are numbered {[event.seq for event in log]}"
        ended = Counter(event.data["request_id"] for event in log if event.type == ITEM_ENDED)
        if ended != Counter(row.id for row in items):
            yield batch.id, f"the ends in its log are {ended}"


def batches_keep_to_their_concurrency(history: History) -> Findings:
    """No more items of a batch than its concurrency are with extensions or downloaded at a time."""
    for batch in history.final.batches.values():
        moments: list[tuple[int, int]] = []
        for row in _items(history, batch.id):
            busy = False
            for event in history.final.log[row.id]:
                is_busy = event.status in {Status.PROCESSING, Status.DOWNLOADING}
                if is_busy != busy:
                    moments.append((event.at, 1 if is_busy else -1))
                busy = is_busy
        count = most = 0
        for _, step in sorted(moments):
            count += step
            most = max(most, count)
        if most > batch.concurrency:
            yield batch.id, f"{most} of its items were in progress at once, its concurrency is {batch.concurrency}"


def nothing_starts_while_a_batch_is_paused(history: History) -> Findings:
    """From the answer to a pause to the request to resume, no item is assigned."""
    for pause in history.records.pauses:
        for row in _items(history, pause.batch_id):
            for event in history.final.log[row.id]:
                if event.type == ASSIGNED and pause.begun * 1000 + COMMIT_MS < event.at < pause.ended * 1000:
                    yield row.id, f"it was assigned at {event.at}, during {pause}"


def _items(history: History, batch_id: str) -> list[Row]:
    return [row for row in history.final.rows.values() if row.batch_id == batch_id]


def _item(row: Row) -> tuple[object, ...]:
    return row.batch_id, row.batch_index, row.custom_id


BATCH_CHECKS: tuple[Check, ...] = (
    batches_keep_their_items,
    retries_take_the_place_of_what_ended,
    batches_count_their_items,
    batches_keep_to_their_concurrency,
    nothing_starts_while_a_batch_is_paused,
)
