"""What the extension says on the wire, to a server that does as it is told."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from PIL import Image
from simple_websocket import ConnectionClosed

from tests.support.canvas_picture import canvas_picture
from tests.support.chromium import Chromium, running_chromium
from tests.support.scripted_server import Reply, ScriptedServer
from tests.support.scripted_socket import Peer
from tests.support.waiting import until

JOB = "550e8400-e29b-41d4-a716-446655440000"
SMALL = {"width": 32, "height": 16}
USUAL = {
    "token": "",
    "extensionId": "e1",
    "concurrency": 1,
    "paused": False,
    "hours": {"enabled": False, "days": [1], "from": "09:00", "to": "18:00"},
}
OPEN = {"Access-Control-Allow-Origin": "*", "Access-Control-Allow-Headers": "*", "Access-Control-Allow-Methods": "*"}


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    """A browser that knows no server yet."""
    with running_chromium(tmp_path_factory.mktemp("browser")) as browser:
        yield browser


@pytest.fixture
def server(browser: Chromium) -> Iterator[ScriptedServer]:
    """A server that the extension may be told of; it is forgotten in the end."""
    with ScriptedServer() as server:
        for path in ("/api/websocket/info", "/put"):
            server.on("OPTIONS", path, Reply(headers=OPEN))
        server.on("GET", "/api/websocket/info", Reply({"url": server.ws_url}, headers=OPEN))
        yield server
        browser.save(server="")
        browser.until_status("status.state === 'unset'")


def connect(browser: Chromium, server: ScriptedServer, **settings: Any) -> Peer:
    """Tell the extension of the server; its first connection."""
    browser.save(**{**USUAL, "server": server.url, "providers": [canvas(["*"])], **settings})
    return server.sockets.next()


def canvas(models: list[str], **settings: Any) -> dict[str, Any]:
    return {"id": "canvas", "kind": "canvas", "name": "Drawn", "enabled": True, "models": models, "settings": settings}


def ask(peer: Peer, request_id: str = JOB, **fields: Any) -> None:
    """Have a small picture made."""
    job = {"prompt": "a fox", "model": "m", "parameters": SMALL, "userId": "u", "correlationId": "c-1", "lease": "l-1"}
    peer.send("generate_image", requestId=request_id, **{**job, **fields})


def progress(peer: Peer) -> list[int]:
    """What the extension said of how far it is."""
    return [message["progress"] for message in peer.of_type("image_generation_progress")]


def pixels(data_url: str) -> bytes:
    head, _, body = data_url.partition(",")
    assert head == "data:image/png;base64"
    return Image.open(io.BytesIO(base64.b64decode(body))).convert("RGB").tobytes()


def test_it_introduces_itself_with_what_it_can_do_and_says_that_it_lives(
    browser: Chromium, server: ScriptedServer
) -> None:
    settings = {"token": "secret.token", "concurrency": 3, "providers": [canvas(["one", "two"])]}
    peer = connect(browser, server, **settings)
    hello = peer.welcome()
    beat = peer.receive("heartbeat")

    metadata = {"version": "1.0.0", "capabilities": ["image-generation", "one", "two"], "maxConcurrent": 3}
    assert hello == {
        "type": "authenticate",
        "extensionId": "e1",
        "token": "secret.token",
        "metadata": metadata,
        "activeRequestIds": [],
    }
    status = {"available": True, "queueSize": 0, "activeRequests": 0}
    assert beat == {"type": "heartbeat", "extensionId": "e1", "status": status, "activeRequestIds": []}


def test_a_picture_goes_in_the_report_where_no_upload_is_offered(browser: Chromium, server: ScriptedServer) -> None:
    peer = connect(browser, server)
    peer.welcome()
    ask(peer)
    report = peer.receive("image_generated")

    about = {"type": "image_generated", "requestId": JOB, "correlationId": "c-1", "lease": "l-1"}
    assert report | about == report
    assert pixels(report["imageUrl"]) == canvas_picture("a fox", "m", 32, 16)
    assert report["metadata"] | {"model": "m", "prompt": "a fox", **SMALL} == report["metadata"]


def test_a_picture_goes_by_the_upload_where_one_is_offered(browser: Chromium, server: ScriptedServer) -> None:
    server.on("PUT", "/put", Reply({"imageUrl": "http://127.0.0.1/there.png"}, headers=OPEN))
    peer = connect(browser, server)
    peer.welcome()
    ask(peer, upload={"url": f"{server.url}/put?signed=yes", "method": "PUT", "headers": {"Content-Type": "image/png"}})

    assert peer.receive("image_generated")["imageUrl"] == "http://127.0.0.1/there.png"
    (put,) = server.asked("PUT", "/put")
    assert put.query == {"signed": "yes", "position": "0"}
    assert put.headers["content-type"] == "image/png"
    assert Image.open(io.BytesIO(put.body)).size == (32, 16)


def test_a_result_is_told_again_until_it_is_confirmed(browser: Chromium, server: ScriptedServer) -> None:
    peer = connect(browser, server)
    peer.welcome()
    ask(peer)
    report = peer.receive("image_generated")
    peer.cut()

    peer = server.sockets.next()
    assert peer.welcome(activeRequestIds=[JOB])["activeRequestIds"] == [JOB]
    assert peer.receive("image_generated") == report
    assert browser.until_status("status.unsent === 1")["jobs"] == []
    peer.send("image_generation_confirmed", requestId=JOB, imagePath="/there.png", correlationId="c-1")
    browser.until_status("status.unsent === 0")
    peer.cut()

    assert server.sockets.next().welcome()["activeRequestIds"] == []


def test_what_the_server_no_longer_counts_on_us_for_is_let_go(browser: Chromium, server: ScriptedServer) -> None:
    peer = connect(browser, server, providers=[canvas(["*"], delayMs=60_000)])
    peer.welcome()
    ask(peer)
    peer.receive("image_generation_progress")
    peer.cut()

    peer = server.sockets.next()
    assert peer.welcome(activeRequestIds=[])["activeRequestIds"] == [JOB]
    assert peer.receive("heartbeat")["activeRequestIds"] == []
    assert browser.until_status("status.jobs.length === 0")["unsent"] == 0


def test_work_goes_on_over_a_broken_connection(browser: Chromium, server: ScriptedServer) -> None:
    peer = connect(browser, server, providers=[canvas(["*"], delayMs=100)])
    peer.welcome()
    ask(peer)
    peer.receive("image_generation_progress")
    peer.cut()

    peer = server.sockets.next()
    peer.welcome(activeRequestIds=[JOB])
    assert peer.receive("image_generated")["requestId"] == JOB


def test_pictures_that_were_finished_before_the_worker_was_ended_are_not_made_again(
    browser: Chromium, server: ScriptedServer
) -> None:
    peer = connect(browser, server, providers=[canvas(["*"], delayMs=100)])
    peer.welcome()
    ask(peer, parameters={**SMALL, "numberOfImages": 3})
    until(lambda: max(progress(peer), default=0) > 40, 20, "the second picture")
    browser.kill_worker()
    browser.evaluate("await chrome.runtime.sendMessage({ ask: 'connect' }); 0")

    peer = server.sockets.next()
    peer.welcome(activeRequestIds=[JOB])
    report = peer.receive("image_generated")

    assert 33 <= min(progress(peer)) < 40
    assert [pixels(url) for url in report["imageUrls"]] == [canvas_picture("a fox", "m", 32, 16, at) for at in range(3)]


def test_a_lost_lease_ends_the_work(browser: Chromium, server: ScriptedServer) -> None:
    peer = connect(browser, server, providers=[canvas(["*"], delayMs=60_000)])
    peer.welcome()
    ask(peer)
    peer.receive("image_generation_progress")
    peer.send("error", error="Somebody else has it.", code="ERR_LEASE_LOST", requestId=JOB)

    browser.until_status("status.jobs.length === 0")


def test_a_request_that_comes_back_finds_the_picture_that_was_never_delivered(
    browser: Chromium, server: ScriptedServer
) -> None:
    peer = connect(browser, server)
    peer.welcome()
    ask(peer)
    report = peer.receive("image_generated")
    peer.cut()
    peer = server.sockets.next()
    peer.welcome(activeRequestIds=[])
    browser.save(providers=[canvas(["*"], delayMs=60_000)])

    ask(peer, lease="l-2")

    again = peer.receive("image_generated")
    assert (again["lease"], again["imageUrl"]) == ("l-2", report["imageUrl"])


def test_a_request_that_comes_back_because_its_picture_was_not_wanted_is_drawn_anew(
    browser: Chromium, server: ScriptedServer
) -> None:
    peer = connect(browser, server)
    peer.welcome()
    ask(peer)
    peer.receive("image_generated")

    ask(peer, lease="l-2")

    peer.receive("image_generation_progress")
    assert peer.receive("image_generated")["lease"] == "l-2"


def test_a_model_that_nothing_is_set_up_for_fails_in_a_way_that_lets_others_try(
    browser: Chromium, server: ScriptedServer
) -> None:
    peer = connect(browser, server, providers=[canvas(["another"])])
    peer.welcome()
    ask(peer)
    failure = peer.receive("image_generation_failed")

    assert failure == {
        "type": "image_generation_failed",
        "requestId": JOB,
        "correlationId": "c-1",
        "lease": "l-1",
        "error": "No generator for this model",
        "reason": "Nothing is set up here for the model m.",
        "code": "ERR_GENERATION_FAILED",
        "retryable": True,
    }
    assert browser.until_status("status.jobs.length === 0")["unsent"] == 0


def test_parameters_that_nobody_could_draw_fail_for_good(browser: Chromium, server: ScriptedServer) -> None:
    peer = connect(browser, server)
    peer.welcome()
    ask(peer, parameters={"width": -5})
    failure = peer.receive("image_generation_failed")

    assert (failure["retryable"], failure["reason"]) == (False, "width must be a whole number from 1 to 8192.")


def test_what_cannot_be_understood_changes_nothing(browser: Chromium, server: ScriptedServer) -> None:
    peer = connect(browser, server)
    peer.welcome()
    peer.send_text("no JSON")
    peer.send_text("[1]")
    peer.send_text(b"\x00\x01")
    peer.send("generate_image", requestId=7)
    peer.send("constructor")
    peer.send("news_from_a_later_version")
    ask(peer)

    assert peer.receive("image_generated")["requestId"] == JOB


def test_a_pause_is_told_at_once_and_what_is_in_hand_is_finished(browser: Chromium, server: ScriptedServer) -> None:
    peer = connect(browser, server, providers=[canvas(["*"], delayMs=100)])
    peer.welcome()
    ask(peer)
    peer.receive("heartbeat")
    browser.save(paused=True)

    beat = peer.receive("heartbeat")
    assert (beat["status"]["available"], beat["activeRequestIds"]) == (False, [JOB])
    assert peer.receive("image_generated")["requestId"] == JOB


def test_outside_its_hours_it_introduces_itself_without_a_model_and_with_all_once_they_begin(
    browser: Chromium, server: ScriptedServer
) -> None:
    peer = connect(browser, server)
    peer.welcome()
    never = {"enabled": True, "days": [], "from": "09:00", "to": "18:00"}
    browser.evaluate(
        "const { settings } = await chrome.storage.local.get('settings');"
        f"await chrome.storage.local.set({{ settings: {{ ...settings, hours: {json.dumps(never)} }} }})"
    )
    browser.until_status("status.notTaking === 'hours'")
    peer.cut()

    peer = server.sockets.next()
    assert peer.welcome()["metadata"]["capabilities"] == ["image-generation", "(none)"]
    assert not peer.receive("heartbeat")["status"]["available"]
    browser.save(hours={**never, "enabled": False, "days": [1]})

    peer = server.sockets.next()
    assert peer.welcome()["metadata"]["capabilities"] == ["image-generation", "*"]
    assert peer.receive("heartbeat")["status"]["available"]


def test_there_is_never_a_second_connection(browser: Chromium, server: ScriptedServer) -> None:
    connect(browser, server).welcome()
    with browser.open("pages/popup.html") as page:
        page.evaluate(
            "await Promise.all(Array.from({ length: 20 }, () => chrome.runtime.sendMessage({ ask: 'connect' }))); 0"
        )
    greeted: list[Peer] = []

    def lively() -> list[Peer]:
        """Those that are open and were let in; whoever comes is let in."""
        for peer in server.sockets.peers[len(greeted) + 1 :]:
            greeted.append(peer)
            with suppress(ConnectionClosed, OSError):
                peer.send("authentication_required")
                peer.send("authentication_success", extensionId="e1")
        return [peer for peer in greeted if not peer.closed.is_set() and peer.of_type("heartbeat")]

    until(lively, 20, "a connection")
    until(lambda: len(lively()) == 1, 20, "all but one connection to be closed")
    assert browser.status()["state"] == "connected"
    assert sum(not peer.closed.is_set() for peer in server.sockets.peers) == 1


@pytest.mark.parametrize("code", [1001, 1012, 1011, 4004])
def test_a_server_that_closes_is_come_back_to(browser: Chromium, server: ScriptedServer, code: int) -> None:
    peer = connect(browser, server)
    peer.welcome()
    peer.close(code)

    server.sockets.next().welcome()
    browser.until_status("status.state === 'connected'")
