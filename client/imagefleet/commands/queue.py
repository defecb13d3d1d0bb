"""`imagefleet queue`: what waits, why, and for how long."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from imagefleet.options import command
from imagefleet.output.tables import Column
from imagefleet.output.terminal import describe
from imagefleet.session import Session
from imagefleet.times import clock, in_words

if TYPE_CHECKING:
    from imagefleet.models import PausedPart, QueuePosition, QueueState, Status

EXAMPLES = """
imagefleet queue
imagefleet queue 550e8400-e29b-41d4-a716-446655440000
"""
COLUMNS = (
    Column("MODEL"),
    Column("PRIORITY"),
    Column("WAITING", right=True),
    Column("LONGEST"),
    Column("SLOTS BUSY"),
    Column("", shrinks=True),
)


@command("queue", examples=EXAMPLES)
@click.argument("request_id", metavar="[ID]", required=False)
def queue(session: Session, request_id: str | None) -> None:
    """Tell what waits in the queue; with ID where that request is in it, why it waits, what helps, and when it starts."""
    with session.connect() as client:
        if request_id is not None:
            status = client.status(request_id)
            session.show(status, *_of_request(status))
            return
        state = client.queue()
    if session.form != "text":
        session.show(state)
        return
    session.print_table(COLUMNS, _rows(state))
    for sentence in (*_summary(state), *map(_paused, state.paused)):
        session.remark(sentence)


def _of_request(status: Status) -> list[str]:
    """Where a request is, in sentences."""
    queue = status.queue
    if queue is None:
        return [describe(status)]
    lines = [_position(queue)]
    lines += [queue.reason] if queue.reason else []
    lines += [queue.remedy] if queue.remedy else []
    if queue.eta is not None:
        lines.append(f"It starts {_span(queue.eta.p50, queue.eta.p90)}.")
    if queue.waits_until is not None:
        lines.append(f"It fails if no extension has taken it by {clock(queue.waits_until)}.")
    return lines


def _position(queue: QueuePosition) -> str:
    if queue.position is None:
        return "It is held back, and has no position in the queue."
    if queue.position == 1:
        return "It is next in the queue for its model."
    return f"It is number {queue.position} in the queue for its model."


def _span(likely: datetime, latest: datetime) -> str:
    """When something will probably happen."""
    now = datetime.now(UTC)
    soon_s, latest_s = ((moment - now).total_seconds() for moment in (likely, latest))
    if latest_s < 5:
        return "at any moment"
    first = f"in about {in_words(soon_s)}" if soon_s >= 5 else "soon"
    return f"{first}, and nine times out of ten within {in_words(latest_s)} ({clock(latest)})"


def _rows(state: QueueState) -> list[tuple[object, ...]]:
    slots = {(each.model, each.operation): each for each in state.slots.by_model}
    rows: list[tuple[object, ...]] = []
    for each in state.queues:
        found = slots.get((each.model, each.operation)) or slots.get(("*", each.operation))
        longest = None if each.oldest_seconds is None else in_words(each.oldest_seconds)
        busy = f"{found.busy}/{found.total}" if found is not None else "none"
        rows.append((each.model, each.priority, each.depth, longest, busy, each.operation))
    return rows


def _summary(state: QueueState) -> list[str]:
    slots, throughput = state.slots, state.throughput
    extensions = f"{slots.extensions} extension{'' if slots.extensions == 1 else 's'}"
    lines = [f"{state.waiting} waiting; {slots.busy} of {slots.total} slots of {extensions} busy."]
    if throughput.window_seconds:
        lines.append(f"{throughput.completed} completed in the last {in_words(throughput.window_seconds)}.")
    if state.waiting and not slots.total:
        lines.append("No extension takes work now: connect one, or see `imagefleet fleet`.")
    return lines


def _paused(part: PausedPart) -> str:
    named = part.model or part.user_id or part.extension_id
    what = "Everything" if part.scope == "all" else f"{part.scope.capitalize()} {named}"
    until = "" if part.until is None else f" until {clock(part.until)}"
    return f"{what} is {part.state or 'paused'}{until}{f': {part.note}' if part.note else ''}."
