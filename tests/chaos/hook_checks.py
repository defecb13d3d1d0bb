"""Checks what arrived at the receiver of webhooks.

What had to arrive is taken from the event logs of requests and batches, not from the rows of deliveries. Progress may be replaced by
newer progress, so none of it has to arrive; what arrives must be true.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator

from app.domain.batch_events import BatchFinishedEvent
from app.domain.events import ImageGenerationRequestedEvent
from app.domain.image_request import DEFAULT_USER
from app.domain.states import FINAL
from app.domain.webhooks import HELD_FOR, REPLACEABLE, WebhookEvent
from tests.chaos.checker import ASSIGNED, Check, Findings
from tests.chaos.history import History, LoggedEvent, Row
from tests.chaos.hook_history import Arrival, Hook

REQUESTED = ImageGenerationRequestedEvent.__name__
FINISHED = BatchFinishedEvent.__name__
SIGNATURE = re.compile(rb"expires=[0-9]+&signature=[0-9a-f]+")
BATCH_COMPLETED = WebhookEvent.BATCH_COMPLETED


def everything_is_signed(history: History) -> Findings:
    """What arrives is signed with the webhook's secret, and names its event in its header as in its body."""
    for each in history.records.arrivals:
        named = f"evt_{each.subject_id}_{each.event['sequence']}"
        if not each.verified:
            yield each.subject_id, f"{each.event_id} arrived at {each.path} without a valid signature"
        if not each.event_id == each.event["eventId"] == named:
            yield each.subject_id, f"{named} is called {each.event_id} and {each.event['eventId']}"


def repeats_are_the_same(history: History) -> Findings:
    """An event is the same at each attempt and each webhook, but for signed addresses, which are made anew."""
    bodies: dict[str, bytes] = {}
    for each in history.records.arrivals:
        body = SIGNATURE.sub(b"", each.body)
        first = bodies.setdefault(each.event_id, body)
        if first != body:
            yield each.subject_id, f"{each.event_id} was {first!r}, then {body!r}"


def every_event_arrives(history: History) -> Findings:
    """Each event of a request arrives at each webhook that wants it, and is taken there; so does the end of a batch."""
    taken = {(each.path, *_kind(each)) for each in _taken(history)}
    for hook in history.hooks.values():
        for row in history.final.rows.values():
            for kind in _promised(history, hook, row):
                if (hook.path, *kind) not in taken:
                    yield row.id, f"{kind[1]} of {kind[2]} did not arrive at {hook.path}"
    ends = Counter((path, subject) for path, subject, _ in {_event(each) for each in _taken(history, BATCH_COMPLETED)})
    for hook in history.hooks.values():
        for batch_id in _batches(history, hook):
            wanted = sum(event.type == FINISHED for event in history.final.batch_log[batch_id])
            if ends[hook.path, batch_id] != wanted:
                yield batch_id, f"it ended {wanted} times; {hook.path} was told so {ends[hook.path, batch_id]} times"


def nothing_is_invented(history: History) -> Findings:
    """Each event that arrives happened, and tells the status that it led to."""
    for each in history.records.arrivals:
        kind, data = WebhookEvent(each.event["type"]), each.event["data"]
        if kind.is_of_batch:
            if each.subject_id not in history.final.batches:
                yield each.subject_id, f"{kind} of a batch that does not exist"
            continue
        row = history.final.rows.get(each.subject_id)
        if row is None:
            yield each.subject_id, f"{kind} of a request that does not exist"
        elif kind in REPLACEABLE:
            if data["status"] != "processing" or each.event["sequence"] >= row.version:
                yield row.id, f"progress while it was {data['status']}, number {each.event['sequence']}"
        elif (row.id, kind, each.happened_at) not in {(row.id, *told) for told in _told(history.final.log[row.id])}:
            yield row.id, f"{kind} of {each.happened_at} is not in its log"
        elif data["status"] != kind.removeprefix("image."):
            yield row.id, f"{kind} says that it is {data['status']}"


def events_are_numbered_in_order(history: History) -> Findings:
    """Later events of a request or batch have greater numbers, and its end has the number of its row."""
    numbers: dict[str, dict[int, Arrival]] = defaultdict(dict)
    for each in history.records.arrivals:
        known = numbers[each.subject_id].setdefault(each.event["sequence"], each)
        if (known.event["type"], known.happened_at) != (each.event["type"], each.happened_at):
            yield each.subject_id, f"two events have the number {each.event['sequence']}"
    for subject_id, found in numbers.items():
        times = [found[number].happened_at for number in sorted(found)]
        if times != sorted(times):
            yield subject_id, f"in the order of their numbers its events happened at {times}"
        row = history.final.rows.get(subject_id)
        last = found[max(found)].event
        if row is None or last["data"]["status"] not in FINAL:
            continue
        ended = row.version if row.replaced_by is None else row.version - 1  # being replaced is a change, too
        if last["sequence"] != ended:
            yield subject_id, f"its last event has the number {last['sequence']}, its end {ended}"


def order_is_kept(history: History) -> Findings:
    """An event arrives after earlier ones of its request were taken, unless those had been tried three times."""
    logs: dict[tuple[str, str], list[Arrival]] = defaultdict(list)
    for each in sorted(history.records.arrivals, key=lambda each: each.at):
        if WebhookEvent(each.event["type"]) not in REPLACEABLE:
            logs[each.path, each.subject_id].append(each)
    for (path, subject_id), arrivals in logs.items():
        firsts: dict[str, int] = {}
        for position, each in enumerate(arrivals):
            firsts.setdefault(each.event_id, position)
        for event_id, position in firsts.items():
            for earlier in _earlier(arrivals, arrivals[position]):
                before = [each for each in arrivals[:position] if each.event_id == earlier]
                # attempts that did not reach the receiver may have been made before
                if not any(map(_is_taken, before)) and len(before) + _unseen(history, path, earlier) < HELD_FOR:
                    yield subject_id, f"{event_id} arrived at {path} before {earlier}, after {len(before)} attempts"


def nobody_is_told_of_others(history: History) -> Findings:
    """A webhook is told of its own user's requests alone, and that of a request or batch of that alone."""
    for each in history.records.arrivals:
        hook = history.hooks.get(each.path)
        if hook is None:
            yield each.subject_id, f"something was sent to {each.path}, where there is no webhook"
            continue
        if each.event["type"] not in hook.events:
            yield each.subject_id, f"{each.path} was told of {each.event['type']}, which it does not want"
        row = history.final.rows.get(each.subject_id)
        if not (each.subject_id in _batches(history, hook) if row is None else _is_of(history, hook, row)):
            yield each.subject_id, f"{each.path} was told of it"


def every_delivery_ends(history: History) -> Findings:
    """Once the receiver is well, nothing stays undelivered."""
    for row in history.final.deliveries:
        if row.status not in {"delivered", "replaced"}:
            yield None, f"{row.event_id} to {row.path} is still {row.status} after {row.attempts} attempts"


def _promised(history: History, hook: Hook, row: Row) -> Iterator[tuple[str, WebhookEvent, int]]:
    if _is_of(history, hook, row):
        for kind, at in _told(history.final.log[row.id]):
            if kind in hook.events:
                yield row.id, kind, at


def _told(log: list[LoggedEvent]) -> Iterator[tuple[WebhookEvent, int]]:
    """What webhooks are told of a request, with its time."""
    for event in log:
        if event.type == REQUESTED:
            yield WebhookEvent.ACCEPTED, event.at
        elif event.type == ASSIGNED:
            yield WebhookEvent.PROCESSING, event.at
        elif event.status in FINAL:
            yield WebhookEvent(f"image.{event.status}"), event.at


def _is_of(history: History, hook: Hook, row: Row) -> bool:
    """Whether the webhook is told of the request."""
    if hook.request is not None:
        return row.number == hook.request
    if hook.batch is not None:
        return row.batch_id in _batches(history, hook)
    return bool(history.final.log[row.id][0].data["user_id"] == hook.user)


def _batches(history: History, hook: Hook) -> set[str]:
    """The batches that the webhook is told of: all of them have the same user."""
    if hook.batch is not None:
        return {each.batch_id for each in history.records.batches if each.batch == hook.batch}
    return set(history.final.batches) if hook.request is None and hook.user == DEFAULT_USER else set()


def _taken(history: History, kind: WebhookEvent | None = None) -> Iterator[Arrival]:
    for each in history.records.arrivals:
        if _is_taken(each) and kind in {None, each.event["type"]}:
            yield each


def _is_taken(arrival: Arrival) -> bool:
    return 200 <= arrival.reply < 300


def _kind(arrival: Arrival) -> tuple[str, str, int]:
    return arrival.subject_id, arrival.event["type"], arrival.happened_at


def _event(arrival: Arrival) -> tuple[str, str, str]:
    return arrival.path, arrival.subject_id, arrival.event_id


def _earlier(arrivals: list[Arrival], than: Arrival) -> set[str]:
    return {each.event_id for each in arrivals if each.event["sequence"] < than.event["sequence"]}


def _unseen(history: History, path: str, event_id: str) -> int:
    """How many attempts did not reach the receiver, as far as their number is known."""
    arrivals = (each for each in history.records.arrivals if each.at < history.repaired_at)
    seen = sum((each.path, each.event_id) == (path, event_id) for each in arrivals)
    return max(0, history.attempts.get((path, event_id), 0) - seen)


HOOK_CHECKS: tuple[Check, ...] = (
    everything_is_signed,
    repeats_are_the_same,
    every_event_arrives,
    nothing_is_invented,
    events_are_numbered_in_order,
    order_is_kept,
    nobody_is_told_of_others,
    every_delivery_ends,
)
