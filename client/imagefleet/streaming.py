"""Following event streams across faults: each stored event once and in order."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from imagefleet.calls.base import Call
from imagefleet.errors import ConnectionLost, ImagefleetError
from imagefleet.flows import Close, Emit, Flow, NextEvent, Open, Sleep
from imagefleet.models import BatchEvent, Event
from imagefleet.models.base import decoded
from imagefleet.models.images import FINAL_EVENTS
from imagefleet.retrying import OnRetry, Retries

# A stream that was open for as long as this was no fault: some proxies end each after a while.
SETTLED_S = 5.0
NO_CONTENT = 204
FINISHED = "BatchFinishedEvent"


def streamed(
    call: Call[None],
    read: Callable[[object], Event | BatchEvent],
    last: int | None,
    faults_s: float,
    *,
    is_last: Callable[[Event | BatchEvent], bool] = lambda _: False,
    may_be_last: Callable[[Event | BatchEvent], bool] = lambda _: False,
    on_retry: OnRetry | None = None,
) -> Flow[None]:
    """Emit the events after the one numbered `last`; the stream is resumed after faults for up to `faults_s` seconds in a row.

    It ends after the event of which `is_last` is true, and when the server says that no more will come. That it ends after one
    which `may_be_last` is no fault.
    """
    retries = Retries(faults_s, on_retry=on_retry)
    complete = False
    while True:
        opened_at = time.monotonic()
        try:
            head = yield Open(_after(call, last))
            if head.status == NO_CONTENT:
                return
            while (received := (yield NextEvent())) is not None:
                if not received.data:  # only a time to wait, or an ID
                    continue
                event = read(_named(received.type, decoded(received.data)))
                if event.seq is not None and last is not None and event.seq <= last:
                    continue
                retries.reset()
                last = last if event.seq is None else event.seq
                complete = may_be_last(event)
                yield Emit(event)
                if is_last(event):
                    return
            if complete:
                complete = False
                continue
            error: ImagefleetError = ConnectionLost("The event stream ended before its last event.")
        except ImagefleetError as raised:
            error = raised
        yield Close()
        settled = time.monotonic() - opened_at >= SETTLED_S
        if settled:
            retries.reset()
        yield Sleep(retries.pause_s(error, tell=not settled))


def of_request(call: Call[None], last: int | None, faults_s: float, on_retry: OnRetry | None = None) -> Flow[None]:
    """The events of a request, as `streamed`."""
    return streamed(
        call, Event.read, last, faults_s, is_last=lambda event: event.type in FINAL_EVENTS, on_retry=on_retry
    )


def of_batch(call: Call[None], last: int | None, faults_s: float, on_retry: OnRetry | None = None) -> Flow[None]:
    """The events of a batch, as `streamed`. One that has ended may run again, so that its last event may be followed by more."""
    return streamed(
        call, BatchEvent.read, last, faults_s, may_be_last=lambda event: event.type == FINISHED, on_retry=on_retry
    )


def _after(call: Call[None], last: int | None) -> Call[None]:
    resumed = {} if last is None else {"Last-Event-ID": str(last)}
    return replace(call, headers={**call.headers, "Accept": "text/event-stream", **resumed})


def _named(kind: str, body: Any) -> object:
    """The data of an event with its type, which progress has in its `event` line only."""
    return {"type": kind, **body} if isinstance(body, Mapping) else body
