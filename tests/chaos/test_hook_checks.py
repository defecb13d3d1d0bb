"""The checks of webhooks find each kind of violation, and nothing in a history without violations."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from app.domain.clock import wire_time
from app.domain.image_request import DEFAULT_USER
from app.domain.webhooks import CHOICES, WebhookEvent
from tests.chaos.checker import violations
from tests.chaos.history import BatchAcknowledged, BatchEvent, BatchRow, History
from tests.chaos.hook_checks import FINISHED, HOOK_CHECKS
from tests.chaos.hook_history import Arrival, DeliveryRow, Hook
from tests.chaos.receiver_plan import Reply
from tests.chaos.sample_history import event, row

ANN, ONE, BATCH = "/ann/everything", "/ann/request/1", f"/{DEFAULT_USER}/batch/0"
FIRST, ITEM, BATCH_ID = "first", "item", "batch-1"
REQUESTED = "ImageGenerationRequestedEvent"
ACCEPTED, PROCESSING, COMPLETED = 0, 1, 2


def arrival(
    at: float, path: str, subject: str, sequence: int, kind: str, happened: int, reply: Reply = Reply.TAKES
) -> Arrival:
    """An event that reached the receiver."""
    name = f"evt_{subject}_{sequence}"
    about = {"batchId": subject} if kind.startswith("batch.") else {"requestId": subject}
    status = "processing" if kind == "image.progress" else kind.partition(".")[2]
    told = {"type": kind, "timestamp": wire_time(happened), "eventId": name, "sequence": sequence}
    body = json.dumps({**told, "data": {**about, "status": status}}).encode()
    return Arrival(at, path, name, verified=True, body=body, reply=reply)


def sample() -> History:
    """A request of ann, told to two webhooks, of which one had to be tried again, and a batch of one item."""
    history = History({}, max_attempts=3, repaired_at=100.0)
    hooks = (
        Hook(ANN, "ann", CHOICES),
        Hook(ONE, "ann", (WebhookEvent.COMPLETED,), request=1),
        Hook(BATCH, DEFAULT_USER, CHOICES, batch=0),
    )
    history.hooks = {hook.path: hook for hook in hooks}
    final = history.final
    for request_id, user, number in ((FIRST, "ann", 1), (ITEM, DEFAULT_USER, 2)):
        final.rows[request_id] = row(id=request_id, number=number, version=5)
        final.log[request_id] = [
            event(1, REQUESTED, "accepted", 1_000, user_id=user),
            event(2, "ImageGenerationAssignedEvent", "processing", 2_000, extension_id="e", attempt=1),
            event(3, "ImageGeneratedEvent", "completed", 3_000),
        ]
    final.rows[ITEM] = replace(final.rows[ITEM], batch_id=BATCH_ID, batch_index=1)
    final.batches[BATCH_ID] = BatchRow(BATCH_ID, "completed", 1, 1, (1, 0, 0), 1)
    final.batch_log[BATCH_ID] = [BatchEvent(1, FINISHED, {})]
    final.deliveries = [DeliveryRow(ANN, "evt_first_1", "delivered", 2), DeliveryRow(ANN, "evt_first_3", "replaced", 1)]
    history.records.batches.append(BatchAcknowledged(0, BATCH_ID))
    history.records.arrivals += [
        arrival(1.5, ANN, FIRST, 1, "image.accepted", 1_000),
        arrival(2.5, ANN, FIRST, 2, "image.processing", 2_000, Reply.BROKEN),
        arrival(7.5, ANN, FIRST, 2, "image.processing", 2_000),
        arrival(7.6, ANN, FIRST, 3, "image.progress", 2_500),
        arrival(7.7, ANN, FIRST, 5, "image.completed", 3_000),
        arrival(3.5, ONE, FIRST, 5, "image.completed", 3_000),
        arrival(1.5, BATCH, ITEM, 1, "image.accepted", 1_000),
        arrival(2.5, BATCH, ITEM, 2, "image.processing", 2_000),
        arrival(3.5, BATCH, ITEM, 5, "image.completed", 3_000),
        arrival(3.5, BATCH, BATCH_ID, 4, "batch.completed", 3_000),
    ]
    return history


def change(position: int, **values: Any) -> Callable[[History], None]:
    """Change one arrival."""

    def act(history: History) -> None:
        found = history.records.arrivals
        found[position] = replace(found[position], **values)

    return act


def tell(position: int, **values: Any) -> Callable[[History], None]:
    """Change what one arrival tells."""

    def act(history: History) -> None:
        told = history.records.arrivals[position].event
        data = {**told["data"], **values.get("data", {})}
        change(position, body=json.dumps({**told, **values, "data": data}).encode())(history)

    return act


def lose(position: int) -> Callable[[History], object]:
    """Have one event not arrive."""
    return lambda history: history.records.arrivals.pop(position)


def invent(*args: Any) -> Callable[[History], None]:
    """Have something else arrive."""
    return lambda history: history.records.arrivals.append(arrival(*args))


def number_the_end_too_low(history: History) -> None:
    for position in (4, 5):
        tell(position, sequence=4)(history)


def end_twice(history: History) -> None:
    history.final.batch_log[BATCH_ID] *= 2


def overtake_after_two_attempts(history: History) -> None:
    """One attempt was seen, one was not."""
    change(4, at=3.0)(history)
    history.attempts[ANN, "evt_first_2"] = 3


def leave(status: str) -> Callable[[History], None]:
    """Leave a delivery so."""
    return lambda history: history.final.deliveries.append(DeliveryRow(ANN, "evt_first_5", status, 3))


BREAKS: dict[str, list[Callable[[History], object]]] = {
    "everything_is_signed": [
        change(0, verified=False),
        change(0, event_id="evt_other_1"),
        tell(0, eventId="evt_other_1"),
    ],
    "repeats_are_the_same": [tell(2, data={"progress": 1}), tell(5, data={"progress": 1})],
    "every_event_arrives": [
        *(lose(position) for position in (0, 2, 4, 5, 6, 9)),
        change(4, reply=Reply.REDIRECTS),
        change(5, reply=Reply.HANGS),
        end_twice,
    ],
    "nothing_is_invented": [
        invent(9.0, ANN, "nobody", 1, "image.accepted", 1_000),
        invent(9.0, ANN, FIRST, 4, "image.processing", 2_700),
        invent(9.0, ANN, FIRST, 6, "image.failed", 3_000),
        invent(9.0, ANN, FIRST, 6, "image.progress", 3_500),
        invent(9.0, BATCH, "batch-2", 1, "batch.progress", 1_000),
        tell(0, data={"status": "processing"}),
        tell(3, data={"status": "completed"}),
    ],
    "events_are_numbered_in_order": [
        invent(9.0, ANN, FIRST, 2, "image.completed", 3_000),
        invent(9.0, ANN, FIRST, 4, "image.accepted", 1_000),
        number_the_end_too_low,
    ],
    "order_is_kept": [change(4, at=2.0), change(4, at=3.0), change(8, at=1.6), overtake_after_two_attempts],
    "nobody_is_told_of_others": [
        change(0, path="/elsewhere"),
        change(6, path=ANN),
        change(6, path=ONE),
        change(0, path=ONE),
        change(4, path=BATCH),
        change(9, path=ANN),
    ],
    "every_delivery_ends": [leave("pending"), leave("failed")],
}


def test_a_history_without_violations_has_none() -> None:
    assert violations(sample(), HOOK_CHECKS) == []


def test_after_three_attempts_a_later_event_may_arrive_first() -> None:
    history = sample()
    overtake_after_two_attempts(history)
    history.attempts[ANN, "evt_first_2"] = 4
    assert violations(history, HOOK_CHECKS) == []


def test_a_request_that_was_replaced_has_changed_once_more_since_its_end() -> None:
    history = sample()
    history.final.rows[ITEM] = replace(history.final.rows[ITEM], version=6, replaced_by="item-again")
    assert violations(history, HOOK_CHECKS) == []


def test_the_signature_of_an_address_is_made_anew() -> None:
    history = sample()
    for position, query in ((4, "expires=1&signature=0a"), (5, "expires=2&signature=0b")):
        tell(position, data={"signedUrl": f"http://localhost/a.png?{query}"})(history)
    assert violations(history, HOOK_CHECKS) == []


def test_every_check_has_something_to_find() -> None:
    assert list(BREAKS) == [check.__name__ for check in HOOK_CHECKS]


@pytest.mark.parametrize(("name", "act"), [(name, act) for name, acts in BREAKS.items() for act in acts])
def test_each_violation_is_found(name: str, act: Callable[[History], object]) -> None:
    history = sample()
    act(history)
    assert name in {violation.promise for violation in violations(history, HOOK_CHECKS)}
