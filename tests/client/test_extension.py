"""The reference extension does a job as the contract defines it."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from typing import Any

import pytest
from PIL import Image

from imagefleet.extension.drawing import Picture
from tests.support.reference_extension import JOB, RunningExtension, running_extension, send_job
from tests.support.scripted_server import CUT, Reply, ScriptedServer, refusal
from tests.support.scripted_socket import Peer
from tests.support.waiting import until

UPLOAD = f"/api/uploads/{JOB}"


@pytest.fixture
def running(scripted: ScriptedServer) -> Iterator[RunningExtension]:
    with running_extension(scripted, concurrent=2) as running:
        yield running


@pytest.fixture
def peer(scripted: ScriptedServer, running: RunningExtension) -> Peer:
    peer = scripted.sockets.next()
    peer.welcome()
    return peer


def upload(scripted: ScriptedServer, **fields: Any) -> dict[str, Any]:
    url = f"{scripted.url}{UPLOAD}?attempt=1&expires=9&signature=s"
    return {"url": url, "method": "PUT", "headers": {"X-Own": "1"}, "maxBytes": 10_000_000, **fields}


def test_it_authenticates_only_when_the_server_requests_it(scripted: ScriptedServer, running: RunningExtension) -> None:
    peer = scripted.sockets.next()
    assert peer.welcome() == {
        "type": "authenticate",
        "extensionId": "e1",
        "metadata": {"version": "0.1.0", "capabilities": ["image-generation"], "maxConcurrent": 2},
        "activeRequestIds": [],
    }
    assert peer.received[0]["type"] == "authenticate"


def test_it_sends_its_models_and_its_token(scripted: ScriptedServer) -> None:
    with running_extension(scripted, models=("sdxl",), token="t") as _:
        introduction = scripted.sockets.next().welcome()
    assert introduction["metadata"]["capabilities"] == ["image-generation", "sdxl"]
    assert introduction["token"] == "t"


def test_it_queries_the_server_for_the_address_of_the_socket(scripted: ScriptedServer) -> None:
    scripted.on(
        "GET", "/api/websocket/info", refusal(503, "ERR_UNAVAILABLE", "Later."), Reply({"url": scripted.ws_url})
    )
    with running_extension(scripted, websocket_url=None) as running:
        scripted.sockets.next().welcome()
        until(lambda: running.has_logged(f"connected to {scripted.ws_url} as e1"))


def test_without_an_upload_url_the_picture_is_sent_as_a_data_url(peer: Peer, running: RunningExtension) -> None:
    send_job(peer, lease="l1")
    report = peer.receive("image_generated")
    assert (report["requestId"], report["correlationId"], report["lease"]) == (JOB, "c1", "l1")
    assert {**report["metadata"], "generatedAt": ""} == {
        "model": "dall-e-3",
        "prompt": "A fox",
        "width": 64,
        "height": 48,
        "generatedAt": "",
    }
    assert Image.open(io.BytesIO(_content(report["imageUrl"]))).size == (16, 16)
    assert running.renderer.drawn == [Picture("A fox", 64, 48, 0)]


@pytest.mark.parametrize(
    ("requested", "used", "reported"),
    [(7, 7, 7), (7.0, 7, 7), ("42", 42, 42), ("18446744073709551615", 2**64 - 1, "18446744073709551615"), (-1, -1, -1)],
)
def test_the_requested_seed_is_used_and_reported(
    peer: Peer, running: RunningExtension, requested: Any, used: int, reported: Any
) -> None:
    send_job(peer, parameters={"seed": requested})
    assert peer.receive("image_generated")["metadata"]["seed"] == reported
    assert running.renderer.drawn[0].seed == used


def test_progress_is_reported_several_times_and_only_increases(peer: Peer) -> None:
    send_job(peer, parameters={"numberOfImages": 3})
    peer.receive("image_generated")
    reports = peer.of_type("image_generation_progress")
    percents = [report["progress"] for report in reports]
    assert percents == sorted(percents)
    assert len(percents) > 5
    assert all(0 <= percent < 100 for percent in percents)
    assert {report["status"] for report in reports} >= {"Drawing picture 1 of 3", "Picture 3 of 3 is drawn"}
    assert {(report["requestId"], report["correlationId"]) for report in reports} == {(JOB, "c1")}


def test_pictures_are_uploaded_to_the_given_url(peer: Peer, scripted: ScriptedServer) -> None:
    scripted.on("PUT", UPLOAD, Reply({"imageUrl": "http://s/0"}), CUT, Reply({"imageUrl": "http://s/1"}))
    send_job(peer, parameters={"numberOfImages": 2}, upload=upload(scripted))
    report = peer.receive("image_generated")
    assert (report["imageUrl"], report["imageUrls"]) == ("http://s/0", ["http://s/0", "http://s/1"])
    puts = scripted.requests_to("PUT", UPLOAD)
    assert [put.query.get("position") for put in puts] == [None, "1", "1"]
    assert {(put.query["signature"], put.headers["x-own"], put.headers["content-type"]) for put in puts} == {
        ("s", "1", "image/png")
    }
    assert puts[0].body != puts[1].body == puts[2].body


@pytest.mark.parametrize("reply", [refusal(403, "ERR_FORBIDDEN", "Too late."), Reply(b"<html>"), Reply({"x": 1})])
def test_after_a_refused_upload_the_picture_is_sent_as_a_data_url(
    peer: Peer, scripted: ScriptedServer, reply: Reply
) -> None:
    scripted.on("PUT", UPLOAD, reply)
    send_job(peer, upload=upload(scripted))
    assert _content(peer.receive("image_generated")["imageUrl"]) == scripted.requests_to("PUT", UPLOAD)[0].body


def test_a_picture_too_large_for_a_message_is_not_sent_in_one(peer: Peer, running: RunningExtension) -> None:
    running.renderer.content = bytes(1_000_000)
    send_job(peer)
    report = peer.receive("image_generation_failed")
    assert (report["requestId"], report["correlationId"], report["retryable"]) == (JOB, "c1", True)
    assert "too large for a message" in report["reason"]


def test_a_picture_above_the_servers_limit_is_not_sent(peer: Peer, scripted: ScriptedServer) -> None:
    send_job(peer, upload=upload(scripted, maxBytes=10))
    report = peer.receive("image_generation_failed")
    assert (report["retryable"], scripted.requests_to("PUT", UPLOAD)) == (False, [])


@pytest.mark.parametrize(
    "parameters",
    [
        {"width": 0},
        {"height": "tall"},
        {"numberOfImages": 11},
        {"width": 9000.5},
        {"seed": "x"},
        {"seed": 0.5},
        {"seed": True},
    ],
)
def test_a_job_that_cannot_be_drawn_fails_with_a_reason(peer: Peer, parameters: dict[str, Any]) -> None:
    send_job(peer, parameters=parameters)
    report = peer.receive("image_generation_failed")
    assert next(iter(parameters)) in report["reason"]
    assert report["retryable"] is False


def test_a_failing_drawing_fails_only_its_own_job(peer: Peer, running: RunningExtension) -> None:
    running.renderer.content = "no bytes"  # type: ignore[assignment]
    send_job(peer)
    assert "TypeError" in peer.receive("image_generation_failed")["reason"]
    running.renderer.content = None
    send_job(peer)
    peer.receive("image_generated")


def test_jobs_run_concurrently_up_to_the_limit(peer: Peer, running: RunningExtension) -> None:
    running.renderer.hold()
    for name in ("one", "two", "three"):
        send_job(peer, name, prompt=name)
    until(lambda: len(running.renderer.drawn) == 2)
    assert {each.prompt for each in running.renderer.drawn} == {"one", "two"}
    running.renderer.release()
    assert {peer.receive("image_generated")["requestId"] for _ in range(3)} == {"one", "two", "three"}


def test_a_cancelled_job_ends_without_a_result(peer: Peer, running: RunningExtension) -> None:
    running.renderer.hold()
    send_job(peer, "one")
    until(lambda: running.renderer.drawn)
    peer.send("cancel_generation", requestId="one", correlationId="c1")
    until(lambda: running.has_logged("one was cancelled"))
    running.renderer.release()
    send_job(peer, "two")
    assert peer.receive("image_generated")["requestId"] == "two"
    assert peer.of_type("image_generation_failed") == []


def test_a_job_whose_lease_is_lost_is_stopped(peer: Peer, running: RunningExtension) -> None:
    running.renderer.hold()
    send_job(peer, "one", lease="l1")
    until(lambda: running.renderer.drawn)
    peer.send("error", error="You do not hold this request.", code="ERR_LEASE_LOST", requestId="one")
    until(lambda: running.has_logged("the server reported an error: You do not hold this request."))
    running.renderer.release()
    send_job(peer, "two")
    assert peer.receive("image_generated")["requestId"] == "two"


def test_a_job_offered_again_is_reported_under_the_new_lease(peer: Peer, running: RunningExtension) -> None:
    running.renderer.hold()
    send_job(peer, lease="l1")
    until(lambda: running.renderer.drawn)
    send_job(peer, lease="l2")
    until(lambda: len(running.renderer.drawn) == 2)
    running.renderer.release()
    assert peer.receive("image_generated")["lease"] == "l2"
    assert len(peer.of_type("image_generated")) == 1


def test_a_repeated_offer_is_done_once_and_reported_twice(peer: Peer, running: RunningExtension) -> None:
    send_job(peer, lease="l1")
    first = peer.receive("image_generated")
    send_job(peer, lease="l1")
    assert peer.receive("image_generated") == first
    assert len(running.renderer.drawn) == 1


@pytest.mark.parametrize(
    "text", ["", "nonsense", "[]", '{"type":7}', "[" * 50_000, '{"type":"generate_image"}', b"\xff"]
)
def test_invalid_messages_of_the_server_are_ignored(peer: Peer, text: str | bytes) -> None:
    peer.send_text(text)
    peer.send("unheard_of")
    send_job(peer)
    peer.receive("image_generated")


def _content(url: str) -> bytes:
    head, _, text = url.partition(",")
    assert head == "data:image/png;base64"
    return base64.b64decode(text, validate=True)
