"""The checks of batches find each kind of violation, and nothing in a history without violations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.chaos.batch_checks import BATCH_CHECKS, ITEM_ENDED
from tests.chaos.checker import violations
from tests.chaos.history import BatchAcknowledged, BatchEvent, BatchPaused, BatchRow, History, Row
from tests.chaos.sample_history import event, row

BATCH = "batch-1"
FIRST, SECOND, AGAIN = "first", "second", "second-again"


def item(row_id: str, number: int, index: int, **other: Any) -> Row:
    of_batch = {"batch_id": BATCH, "batch_index": index, "custom_id": f"item-{number}"}
    return replace(row(id=row_id, number=number), **{**of_batch, **other})


def log(begun: int, end: str, status: str) -> list[Any]:
    assigned = event(2, "ImageGenerationAssignedEvent", "processing", begun, extension_id="e", attempt=1)
    return [event(1, "ImageGenerationRequestedEvent", "accepted", 1), assigned, event(3, end, status, begun + 50)]


def sample() -> History:
    """A batch of two items, one in progress at a time; the second one failed and was tried again with success."""
    history = History({}, max_attempts=3, batches={0: [20, 21]})
    final = history.final
    history.records.batches += [BatchAcknowledged(0, BATCH)] * 2
    history.records.pauses.append(BatchPaused(0, BATCH, 1.2, 1.9))
    final.batches[BATCH] = BatchRow(BATCH, "completed", 1, 2, (2, 0, 0), 3)
    final.rows = {
        FIRST: item(FIRST, 20, 1),
        SECOND: item(SECOND, 21, 2, status="failed", replaced_by=AGAIN),
        AGAIN: item(AGAIN, 21, 2, retry_of=SECOND),
    }
    final.log[FIRST] = log(1_000, "ImageGeneratedEvent", "completed")
    final.log[SECOND] = log(1_050, "ImageGenerationFailedEvent", "failed")
    final.log[AGAIN] = log(2_000, "ImageGeneratedEvent", "completed")
    for seq, ended in enumerate((FIRST, SECOND, AGAIN), 1):
        final.batch_log[BATCH].append(BatchEvent(seq, ITEM_ENDED, {"request_id": ended}))
    return history


def change(name: str, **values: Any) -> Callable[[History], None]:
    def act(history: History) -> None:
        history.final.rows[name] = replace(history.final.rows[name], **values)

    return act


def change_batch(**values: Any) -> Callable[[History], None]:
    def act(history: History) -> None:
        history.final.batches[BATCH] = replace(history.final.batches[BATCH], **values)

    return act


def lose(history: History) -> None:
    del history.final.rows[FIRST], history.final.log[FIRST]


def accept_twice(history: History) -> None:
    history.records.batches.append(BatchAcknowledged(0, "batch-2"))


def make_an_unknown_one(history: History) -> None:
    history.final.batches["batch-3"] = BatchRow("batch-3", "completed", 1, 0, (0, 0, 0), 0)


def begin_two_at_once(history: History) -> None:
    history.final.log[SECOND] = log(1_020, "ImageGenerationFailedEvent", "failed")


def begin_in_a_pause(history: History) -> None:
    history.final.log[AGAIN] = log(1_500, "ImageGeneratedEvent", "completed")


def log_an_end_twice(history: History) -> None:
    history.final.batch_log[BATCH].append(BatchEvent(4, ITEM_ENDED, {"request_id": FIRST}))
    change_batch(last_event=4)(history)


def skip_an_event(history: History) -> None:
    del history.final.batch_log[BATCH][0]


BREAKS: dict[str, list[Callable[[History], object]]] = {
    "batches_keep_their_items": [
        lose,
        accept_twice,
        make_an_unknown_one,
        change(FIRST, batch_index=2),
        change(FIRST, batch_id=None),
        change(SECOND, replaced_by=None),
    ],
    "retries_take_the_place_of_what_ended": [
        change(SECOND, status="processing"),
        change(AGAIN, custom_id="another"),
        change(AGAIN, retry_of=None),
        change(SECOND, replaced_by="nobody"),
    ],
    "batches_count_their_items": [
        change_batch(status="running"),
        change_batch(counts=(1, 1, 0)),
        change_batch(total=3),
        change(FIRST, status="failed"),
        log_an_end_twice,
        skip_an_event,
    ],
    "batches_keep_to_their_concurrency": [begin_two_at_once],
    "nothing_starts_while_a_batch_is_paused": [begin_in_a_pause],
}


def test_a_history_without_violations_has_none() -> None:
    assert violations(sample(), BATCH_CHECKS) == []


def test_every_check_has_something_to_find() -> None:
    assert list(BREAKS) == [check.__name__ for check in BATCH_CHECKS]


@pytest.mark.parametrize(("name", "act"), [(name, act) for name, acts in BREAKS.items() for act in acts])
def test_each_violation_is_found(name: str, act: Callable[[History], object]) -> None:
    history = sample()
    act(history)
    assert name in {violation.promise for violation in violations(history, BATCH_CHECKS)}
