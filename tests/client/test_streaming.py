"""Streams and long polls behind something that cuts connections, on a clock that the test moves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from imagefleet import ConnectionLost, ImagefleetError, Status
from imagefleet.calls import images
from imagefleet.flows import Close, Effect, Emit, Flow, Head, NextEvent, Open, Received, Send, Sleep
from imagefleet.models import ImageRequest
from imagefleet.streaming import of_request
from imagefleet.waiting import for_request
from tests.support.library_clock import Clock
from tests.support.wire_answers import ID

FAULTS_S = 120.0
OPENED = Head(200, {})
LOST = ConnectionLost("It broke.")
Perform = Callable[[Effect], Any]


def drive(flow: Flow[Any], perform: Perform, clock: Clock) -> list[Any]:
    """Do what the flow yields until it ends; what it emits. Sleeping moves the clock."""
    emitted: list[Any] = []
    outcome: Any = None
    error: ImagefleetError | None = None
    while True:
        try:
            effect = flow.send(outcome) if error is None else flow.throw(error)
        except StopIteration as end:
            return [*emitted, end.value]
        outcome = error = None
        if isinstance(effect, Sleep):
            clock.sleep(effect.seconds)
        elif isinstance(effect, Emit):
            emitted.append(effect.item)
        elif not isinstance(effect, Close):
            try:
                outcome = perform(effect)
            except ImagefleetError as raised:
                error = raised


def test_a_quiet_stream_may_be_cut_every_20_seconds_for_hours(clock: Clock) -> None:
    cuts = 0

    def perform(effect: Effect) -> Head | Received | None:
        nonlocal cuts
        if isinstance(effect, Open):
            return OPENED
        assert isinstance(effect, NextEvent)
        clock.sleep(20.0)
        cuts += 1
        if cuts % 2:
            raise LOST
        return None if cuts < 1000 else Received("ImageGeneratedEvent", f'{{"requestId":"{ID}","seq":1}}')

    told: list[object] = []
    flow = of_request(images.events(ID), None, FAULTS_S, lambda error, _: told.append(error))
    event, _ = drive(flow, perform, clock)
    assert (event.seq, cuts, told) == (1, 1000, [])
    assert clock.now_s > 5 * 3600


def test_a_stream_that_always_ends_at_once_is_given_up(clock: Clock) -> None:
    opened = 0

    def perform(effect: Effect) -> Head | None:
        nonlocal opened
        if isinstance(effect, Open):
            opened += 1
            return OPENED
        return None

    began_s = clock.now_s
    with pytest.raises(ConnectionLost, match="ended before its last event"):
        drive(of_request(images.events(ID), None, FAULTS_S), perform, clock)
    assert FAULTS_S <= clock.now_s - began_s < FAULTS_S + 1
    assert opened < 40


def test_polls_become_shorter_than_what_cuts_them(clock: Clock) -> None:
    waits: list[object] = []
    faults: list[object] = []

    def perform(effect: Effect) -> Status | ImageRequest:
        assert isinstance(effect, Send)
        if not effect.call.path.endswith("/status"):
            return ImageRequest(request_id=ID, status="completed")
        wait = effect.call.query["wait"]
        assert isinstance(wait, int)
        waits.append(wait)
        clock.sleep(min(wait, 20.0))
        if wait > 20:
            raise LOST
        return Status(request_id=ID, status="processing" if len(waits) < 500 else "completed", version=len(waits))

    flow = for_request(ID, None, FAULTS_S, None, lambda error, _: faults.append(error))
    assert drive(flow, perform, clock)[-1].status == "completed"
    assert waits[:5] == [0, 30, 0, 15, 15]
    assert len(faults) == 1
