"""Waiting for a request and following its events, across faults."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from imagefleet.client import Client
from imagefleet.errors import BadAnswer, Refused, TimedOut, Unreachable
from imagefleet.models import Status
from tests.support.ports import free_port
from tests.support.scripted_server import CUT, RecordedRequest, Reply, ScriptedServer, refusal
from tests.support.waiting import until
from tests.support.wire_answers import EVENT_STREAM, EVENTS, ID, IMAGE, STATUS, event, result, status, stream


def test_waiting_reports_each_state_once_and_polls_for_newer_versions(fleet: Client, scripted: ScriptedServer) -> None:
    steps = [
        status("accepted", 1),
        status("processing", 2, progress=30),
        status("processing", 2, progress=30),
        status("completed", 5, progress=100),
    ]
    scripted.on("GET", STATUS, *steps)
    scripted.on("GET", IMAGE, result())
    reported: list[Status] = []
    assert fleet.wait(ID, progress=reported.append).status == "completed"
    assert [(each.status, each.progress) for each in reported] == [
        ("accepted", 0),
        ("processing", 30),
        ("completed", 100),
    ]
    queries = [each.query for each in scripted.requests_to("GET", STATUS)]
    assert queries == [{"wait": "0"}, {"wait": "30", "since": "1"}, *[{"wait": "30", "since": "2"}] * 2]


@pytest.mark.parametrize("end", ["failed", "cancelled"])
def test_waiting_ends_at_every_final_status(fleet: Client, scripted: ScriptedServer, end: str) -> None:
    scripted.on("GET", STATUS, status(end, 2))
    scripted.on("GET", IMAGE, result(end, code="ERR_TIMEOUT"))
    found = fleet.wait(ID)
    assert (found.status, found.code, found.images) == (end, "ERR_TIMEOUT", ())


def test_waiting_survives_faults(fleet: Client, scripted: ScriptedServer) -> None:
    scripted.on(
        "GET", STATUS, status("accepted", 1), CUT, refusal(503, "ERR_UNAVAILABLE", "Later."), status("completed", 2)
    )
    scripted.on("GET", IMAGE, CUT, result())
    assert fleet.wait(ID, timeout_s=20).status == "completed"


def test_waiting_survives_a_restart_of_the_server() -> None:
    port = free_port()
    found: list[str] = []
    with Client(f"http://127.0.0.1:{port}") as fleet:
        waiting = threading.Thread(target=lambda: found.append(fleet.wait(ID, timeout_s=30).status))
        with ScriptedServer(port) as first:
            first.on("GET", STATUS, status("accepted", 1), CUT)
            waiting.start()
            until(lambda: len(first.requests_to("GET", STATUS)) > 1)
        with ScriptedServer(port) as second:
            second.on("GET", STATUS, status("completed", 2))
            second.on("GET", IMAGE, result())
            waiting.join(30)
    assert found == ["completed"]


def test_waiting_ends_after_its_timeout(fleet: Client, scripted: ScriptedServer) -> None:
    scripted.on("GET", STATUS, status("accepted", 1))
    began = time.monotonic()
    with pytest.raises(TimedOut, match="it continues"):
        fleet.wait(ID, timeout_s=1.2)
    assert 1.1 <= time.monotonic() - began < 4


def test_waiting_for_an_unreachable_server_ends_after_the_timeout_too() -> None:
    with Client(f"http://127.0.0.1:{free_port()}") as fleet, pytest.raises(Unreachable):
        fleet.wait(ID, timeout_s=0.6)


def test_a_hanging_server_does_not_extend_the_timeout(fleet: Client, scripted: ScriptedServer) -> None:
    def hang(_: RecordedRequest) -> Reply:
        scripted.closing.wait(30)
        return CUT

    scripted.on("GET", STATUS, hang)
    began = time.monotonic()
    with pytest.raises(Unreachable):
        fleet.wait(ID, timeout_s=0.5)
    assert time.monotonic() - began < 5


def test_waiting_for_an_unknown_request_ends_at_once(fleet: Client) -> None:
    with pytest.raises(Refused) as caught:
        fleet.wait(ID)
    assert caught.value.status == 404


@pytest.mark.parametrize("version", [1, None])
def test_a_server_without_long_polling_is_polled_with_pauses(
    fleet: Client, scripted: ScriptedServer, version: int | None
) -> None:
    scripted.on("GET", STATUS, status("processing", version))
    with pytest.raises(TimedOut):
        fleet.wait(ID, timeout_s=2.5)
    assert len(scripted.requests_to("GET", STATUS)) <= 6


def test_events_are_returned_in_order_until_the_last(fleet: Client, scripted: ScriptedServer) -> None:
    progress = f'event: progress\ndata: {{"requestId":"{ID}","status":"processing","progress":40,"message":"Ink"}}\n\n'
    pieces = [
        event("ImageGenerationRequestedEvent", 1, "accepted"),
        b": keep-alive\n\n",
        progress.encode(),
        event("ImageGeneratedEvent", 2, "completed"),
        event("NeverReadEvent", 3),
    ]
    scripted.on("GET", EVENTS, stream(*pieces))
    first, inked, last = fleet.stream(ID)
    assert (first.type, first.seq, first.data) == ("ImageGenerationRequestedEvent", 1, {"n": 1})
    assert (inked.type, inked.seq, inked.progress, inked.message) == ("progress", None, 40, "Ink")
    assert (last.seq, last.is_final, last.status) == (2, True, "completed")
    assert scripted.requests[0].headers["accept"] == "text/event-stream"


def test_events_continue_after_a_fault_with_the_next_one(fleet: Client, scripted: ScriptedServer) -> None:
    one, two, three = (event(f"{name}Event", seq) for seq, name in enumerate(("One", "Two", "ImageGenerated"), 1))
    scripted.on("GET", EVENTS, stream(one, two, three[:20], cut=True), stream(one), CUT, stream(two, three))
    assert [each.seq for each in fleet.stream(ID)] == [1, 2, 3]
    assert [each.headers.get("last-event-id") for each in scripted.requests] == [None, "2", "2", "2"]


def test_a_finished_request_has_no_further_events(fleet: Client, scripted: ScriptedServer) -> None:
    scripted.on("GET", EVENTS, Reply(status=204))
    assert list(fleet.stream(ID, last_event_id=9)) == []
    assert scripted.requests[0].headers["last-event-id"] == "9"


def test_events_of_an_unknown_request_are_refused(fleet: Client) -> None:
    with pytest.raises(Refused, match="Not found"):
        next(fleet.stream(ID))


def test_invalid_events_are_reported_as_such(fleet: Client, scripted: ScriptedServer) -> None:
    scripted.on("GET", EVENTS, stream(b"event: x\ndata: nonsense\n\n"))
    with pytest.raises(BadAnswer):
        next(fleet.stream(ID))


def test_events_are_returned_as_they_arrive(fleet: Client, scripted: ScriptedServer) -> None:
    more = threading.Event()

    def pieces() -> Iterator[bytes]:
        yield event("OneEvent", 1)
        more.wait(10)
        yield event("ImageGeneratedEvent", 2)

    scripted.on("GET", EVENTS, Reply(pieces(), headers=EVENT_STREAM))
    events = fleet.stream(ID)
    assert next(events).seq == 1
    more.set()
    assert next(events).seq == 2
