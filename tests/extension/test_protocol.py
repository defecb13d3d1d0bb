"""The extension's messages, with a scripted server."""

from __future__ import annotations

import base64
import io
import json
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from simple_websocket import ConnectionClosed

from tests.support.reference_renderer import rendered_pixels
from tests.support.chromium import EXTENSION, Chromium, running_chromium
from tests.support.fake_generators import generated_png
from tests.support.scripted_server import RecordedRequest, Reply, ScriptedServer
from tests.support.scripted_socket import Peer
from tests.support.waiting import until

MANIFEST = json.loads((EXTENSION / "manifest.json").read_text())
JOB = "550e8400-e29b-41d4-a716-446655440000"
SMALL = {"width": 32, "height": 16}
DEFAULTS = {
    "token": "",
    "extensionId": "e1",
    "concurrency": 1,
    "paused": False,
    "hours": {"enabled": False, "days": [1], "from": "09:00", "to": "18:00"},
}
OPERATIONS = ["image-variation", "image-edit"]
PAUSED = {"pausedUntil": "2999-01-01T00:00:00.000Z", "pauseReason": "It failed three times."}
CORS = {"Access-Control-Allow-Origin": "*", "Access-Control-Allow-Headers": "*", "Access-Control-Allow-Methods": "*"}


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    """A browser without a server address."""
    with running_chromium(tmp_path_factory.mktemp("browser")) as browser:
        yield browser


@pytest.fixture
def server(browser: Chromium) -> Iterator[ScriptedServer]:
    """A scripted server; its address is removed from the extension after the test."""
    with ScriptedServer() as server:
        for path in ("/api/websocket/info", "/put"):
            server.on("OPTIONS", path, Reply(headers=CORS))
        server.on("GET", "/api/websocket/info", Reply({"url": server.ws_url}, headers=CORS))
        yield server
        browser.save(server="")
        browser.until_status("status.state === 'unset'")


def connect(browser: Chromium, server: ScriptedServer, **settings: Any) -> Peer:
    """Set the server's address and return the extension's first connection."""
    browser.save(**{**DEFAULTS, "server": server.url, "providers": [canvas(["*"])], **settings})
    return server.sockets.next()


def canvas(models: list[str], **settings: Any) -> dict[str, Any]:
    return {
        "id": "canvas",
        "kind": "canvas",
        "name": "Test pictures",
        "enabled": True,
        "models": models,
        "settings": settings,
    }


def assign(peer: Peer, request_id: str = JOB, **fields: Any) -> None:
    """Assign a request for a small picture."""
    job = {"prompt": "a fox", "model": "m", "parameters": SMALL, "userId": "u", "correlationId": "c-1", "lease": "l-1"}
    peer.send("generate_image", requestId=request_id, **{**job, **fields})


def progress(peer: Peer) -> list[int]:
    """The progress that the extension reported."""
    return [message["progress"] for message in peer.of_type("image_generation_progress")]


def pixels(data_url: str) -> bytes:
    head, _, body = data_url.partition(",")
    assert head == "data:image/png;base64"
    return Image.open(io.BytesIO(base64.b64decode(body))).convert("RGB").tobytes()


def test_it_authenticates_with_its_capabilities_and_sends_a_heartbeat(
    browser: Chromium, server: ScriptedServer
) -> None:
    settings = {"token": "secret.token", "concurrency": 3, "providers": [canvas(["one", "two"])]}
    peer = connect(browser, server, **settings)
    authenticate = peer.welcome()
    heartbeat = peer.receive("heartbeat")

    capabilities = ["image-generation", "one", "two", *OPERATIONS]
    metadata = {"version": MANIFEST["version"], "capabilities": capabilities, "maxConcurrent": 3}
    authenticate["metadata"].pop("repaired", None)  # only if it has been connected since the generators were configured
    assert authenticate == {
        "type": "authenticate",
        "extensionId": "e1",
        "token": "secret.token",
        "metadata": metadata,
        "activeRequestIds": [],
    }
    status = {"available": True, "queueSize": 0, "activeRequests": 0}
    assert heartbeat == {"type": "heartbeat", "extensionId": "e1", "status": status, "activeRequestIds": []}


def test_without_an_upload_the_report_contains_the_picture(browser: Chromium, server: ScriptedServer) -> None:
    peer = connect(browser, server)
    peer.welcome()
    assign(peer)
    report = peer.receive("image_generated")

    about = {"type": "image_generated", "requestId": JOB, "correlationId": "c-1", "lease": "l-1"}
    assert report | about == report
    assert pixels(report["imageUrl"]) == rendered_pixels("a fox", "m", 32, 16)
    assert report["metadata"] | {"model": "m", "prompt": "a fox", **SMALL} == report["metadata"]


def test_a_picture_is_uploaded_if_the_server_offers_it(browser: Chromium, server: ScriptedServer) -> None:
    server.on("PUT", "/put", Reply({"imageUrl": "http://127.0.0.1/there.png"}, headers=CORS))
    peer = connect(browser, server)
    peer.welcome()
    assign(
        peer, upload={"url": f"{server.url}/put?signed=yes", "method": "PUT", "headers": {"Content-Type": "image/png"}}
    )

    assert peer.receive("image_generated")["imageUrl"] == "http://127.0.0.1/there.png"
    (put,) = server.requests_to("PUT", "/put")
    assert put.query == {"signed": "yes", "position": "0"}
    assert put.headers["content-type"] == "image/png"
    assert Image.open(io.BytesIO(put.body)).size == (32, 16)


def test_a_result_is_sent_again_until_it_is_confirmed(browser: Chromium, server: ScriptedServer) -> None:
    peer = connect(browser, server)
    peer.welcome()
    assign(peer)
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


def test_requests_that_the_server_does_not_list_are_released(browser: Chromium, server: ScriptedServer) -> None:
    peer = connect(browser, server, providers=[canvas(["*"], delayMs=60_000)])
    peer.welcome()
    assign(peer)
    peer.receive("image_generation_progress")
    peer.cut()

    peer = server.sockets.next()
    assert peer.welcome(activeRequestIds=[])["activeRequestIds"] == [JOB]
    assert peer.receive("heartbeat")["activeRequestIds"] == []
    assert browser.until_status("status.jobs.length === 0")["unsent"] == 0


def test_a_job_continues_while_disconnected(browser: Chromium, server: ScriptedServer) -> None:
    peer = connect(browser, server, providers=[canvas(["*"], delayMs=100)])
    peer.welcome()
    assign(peer)
    peer.receive("image_generation_progress")
    peer.cut()

    peer = server.sockets.next()
    peer.welcome(activeRequestIds=[JOB])
    assert peer.receive("image_generated")["requestId"] == JOB


def test_finished_pictures_survive_a_stopped_worker(browser: Chromium, server: ScriptedServer) -> None:
    peer = connect(browser, server, providers=[canvas(["*"], delayMs=100)])
    peer.welcome()
    assign(peer, parameters={**SMALL, "numberOfImages": 3})
    until(lambda: max(progress(peer), default=0) > 40, 20, "the second picture")
    browser.kill_worker()
    browser.evaluate("await chrome.runtime.sendMessage({ type: 'connect' }); 0")

    peer = server.sockets.next()
    peer.welcome(activeRequestIds=[JOB])
    report = peer.receive("image_generated")

    assert 33 <= min(progress(peer)) < 40
    assert [pixels(url) for url in report["imageUrls"]] == [rendered_pixels("a fox", "m", 32, 16, at) for at in range(3)]


def test_a_paid_picture_is_not_asked_for_again_after_the_worker_was_stopped(
    tmp_path: Path, server: ScriptedServer
) -> None:
    asked = threading.Event()

    def never(_: RecordedRequest) -> Reply:
        asked.set()
        server.closing.wait(60)
        return Reply({})

    server.on("POST", "/v1/images/generations", never)
    paid = {**canvas(["paid"], address=f"{server.url}/v1"), "id": "paid", "kind": "openai", "name": "Paid"}
    with running_chromium(tmp_path / "browser", host_permissions=["http://127.0.0.1/*"]) as browser:
        peer = connect(browser, server, providers=[paid])
        peer.welcome()
        assign(peer, model="paid")
        assert asked.wait(20)
        browser.kill_worker()
        browser.evaluate("await chrome.runtime.sendMessage({ type: 'connect' }); 0")

        peer = server.sockets.next()
        assert peer.welcome(activeRequestIds=[JOB])["activeRequestIds"] == [JOB]
        failure = peer.receive("image_generation_failed")

        assert (failure["error"], failure["retryable"]) == ("The job was interrupted", True)
        assert len(server.requests_to("POST", "/v1/images/generations")) == 1


def test_a_lost_lease_stops_the_job(browser: Chromium, server: ScriptedServer) -> None:
    peer = connect(browser, server, providers=[canvas(["*"], delayMs=60_000)])
    peer.welcome()
    assign(peer)
    peer.receive("image_generation_progress")
    peer.send("error", error="The lease was lost.", code="ERR_LEASE_LOST", requestId=JOB)

    browser.until_status("status.jobs.length === 0")


def test_an_undelivered_picture_is_reused_when_the_request_is_assigned_again(
    browser: Chromium, server: ScriptedServer
) -> None:
    peer = connect(browser, server)
    peer.welcome()
    assign(peer)
    report = peer.receive("image_generated")
    peer.cut()
    peer = server.sockets.next()
    peer.welcome(activeRequestIds=[])
    browser.save(providers=[canvas(["*"], delayMs=60_000)])

    assign(peer, lease="l-2")

    again = peer.receive("image_generated")
    assert (again["lease"], again["imageUrl"]) == ("l-2", report["imageUrl"])


def test_a_rejected_picture_is_generated_again(browser: Chromium, server: ScriptedServer) -> None:
    peer = connect(browser, server)
    peer.welcome()
    assign(peer)
    peer.receive("image_generated")

    assign(peer, lease="l-2")

    peer.receive("image_generation_progress")
    assert peer.receive("image_generated")["lease"] == "l-2"


def test_a_model_without_a_generator_fails_and_others_may_retry(browser: Chromium, server: ScriptedServer) -> None:
    peer = connect(browser, server, providers=[canvas(["another"])])
    peer.welcome()
    assign(peer)
    failure = peer.receive("image_generation_failed")

    assert failure == {
        "type": "image_generation_failed",
        "requestId": JOB,
        "correlationId": "c-1",
        "lease": "l-1",
        "error": "No generator for this model",
        "reason": "No generator is set up for the model m.",
        "code": "ERR_GENERATION_FAILED",
        "retryable": True,
    }
    assert browser.until_status("status.jobs.length === 0")["unsent"] == 0


def test_a_failure_pauses_the_generator_and_not_the_browser(tmp_path: Path, server: ScriptedServer) -> None:
    busy = Reply({"error": {"message": "Slow down"}}, status=429, headers={"Retry-After": "600"})
    server.on("POST", "/v1/images/generations", busy)
    paid = {**canvas(["paid"], address=f"{server.url}/v1"), "id": "paid", "kind": "openai", "name": "Paid"}
    with running_chromium(tmp_path / "browser", host_permissions=["http://127.0.0.1/*"]) as browser:
        peer = connect(browser, server, providers=[paid, canvas(["drawn"])])
        assert peer.welcome()["metadata"]["capabilities"] == ["image-generation", "paid", "drawn", *OPERATIONS]
        assert peer.receive("heartbeat")["status"]["available"]
        assign(peer, model="paid")

        # No job is accepted from the failure to the new registration.
        assert not peer.receive("heartbeat")["status"]["available"]
        failure = peer.receive("image_generation_failed")
        assert (failure["code"], failure["retryAfterMs"]) == ("ERR_RATE_LIMIT", 0)
        assert len(server.requests_to("POST", "/v1/images/generations")) == 1

        peer = server.sockets.next()
        assert peer.welcome()["metadata"]["capabilities"] == ["image-generation", "drawn", *OPERATIONS]
        assert peer.receive("heartbeat")["status"]["available"]
        (state,) = browser.status()["providers"]
        assert (state["name"], "Slow down" in state["problem"], state["pausedUntil"] > 0) == ("Paid", True, True)

        # A change of its settings ends the pause.
        changed = {**paid, "settings": {**paid["settings"], "key": "sk-new"}}
        browser.save(providers=[changed, canvas(["drawn"])])
        peer = server.sockets.next()
        assert peer.welcome()["metadata"]["capabilities"] == ["image-generation", "paid", "drawn", *OPERATIONS]


def test_a_change_of_settings_ends_the_pause_of_the_server(browser: Chromium, server: ScriptedServer) -> None:
    peer = connect(browser, server)
    peer.welcome()
    peer.receive("heartbeat")
    peer.send("heartbeat_response", **PAUSED)
    assert browser.until_status("status.serverPause")["serverPause"]["reason"] == "It failed three times."

    browser.save(providers=[canvas(["*"], delayMs=1)])

    peer = server.sockets.next()
    assert peer.welcome()["metadata"]["repaired"] is True
    peer.receive("heartbeat")
    peer.send("heartbeat_response")
    browser.until_status("!status.serverPause")


def test_a_pause_of_the_server_that_began_before_a_repair_ends_too(browser: Chromium, server: ScriptedServer) -> None:
    peer = connect(browser, server)
    peer.welcome()
    peer.receive("heartbeat")
    browser.save(providers=[canvas(["*"], delayMs=2)])
    browser.until_status("status.taking")
    peer.send("heartbeat_response", **PAUSED)

    peer = server.sockets.next()
    assert peer.welcome()["metadata"]["repaired"] is True


def test_a_pause_that_a_job_after_the_repair_caused_stays(browser: Chromium, server: ScriptedServer) -> None:
    peer = connect(browser, server)
    peer.welcome()
    peer.receive("heartbeat")
    # The worker learns of new settings by an event of their storage; what it shows of the second generator tells when.
    without_address = {**canvas(["paid"]), "id": "paid", "kind": "openai", "name": "Paid"}
    browser.save(providers=[canvas(["*"], delayMs=3), without_address])
    browser.until_status("status.providers.length === 1")
    assign(peer)
    peer.receive("image_generated")
    peer.send("heartbeat_response", **PAUSED)
    browser.until_status("status.serverPause")
    peer.cut()

    peer = server.sockets.next()
    assert "repaired" not in peer.welcome()["metadata"]


def test_the_only_generator_keeps_its_registration_while_it_is_paused(tmp_path: Path, server: ScriptedServer) -> None:
    done = Reply({"data": [{"b64_json": base64.b64encode(generated_png(8, 8)).decode()}]})
    server.on("POST", "/v1/images/generations", Reply(status=500), done)
    paid = {**canvas(["paid"], address=f"{server.url}/v1"), "id": "paid", "kind": "openai", "name": "Paid"}
    with running_chromium(tmp_path / "browser", host_permissions=["http://127.0.0.1/*"]) as browser:
        peer = connect(browser, server, providers=[paid])
        peer.welcome()
        assert peer.receive("heartbeat")["status"]["available"]
        assign(peer, model="paid")
        assert not peer.receive("heartbeat")["status"]["available"]
        peer.receive("image_generation_failed")

        # After two seconds it accepts jobs again, over the same connection.
        assert peer.receive("heartbeat")["status"]["available"]
        assign(peer, model="paid", lease="l-2")
        assert peer.receive("image_generated")["lease"] == "l-2"


def test_an_extension_whose_only_generator_is_paused_reconnects_as_unavailable(
    tmp_path: Path, server: ScriptedServer
) -> None:
    busy = Reply({"error": {"message": "Slow down"}}, status=429, headers={"Retry-After": "600"})
    server.on("POST", "/v1/images/generations", busy)
    paid = {**canvas(["paid"], address=f"{server.url}/v1"), "id": "paid", "kind": "openai", "name": "Paid"}
    with running_chromium(tmp_path / "browser", host_permissions=["http://127.0.0.1/*"]) as browser:
        peer = connect(browser, server, providers=[paid])
        assert "available" not in peer.welcome()["metadata"]
        assign(peer, model="paid")
        peer.receive("image_generation_failed")
        peer.cut()

        peer = server.sockets.next()
        metadata = peer.welcome()["metadata"]
        assert (metadata["capabilities"], metadata["available"]) == (["image-generation", "paid", *OPERATIONS], False)
        assert not peer.receive("heartbeat")["status"]["available"]


def test_invalid_parameters_fail_without_a_retry(browser: Chromium, server: ScriptedServer) -> None:
    peer = connect(browser, server)
    peer.welcome()
    assign(peer, parameters={"width": -5})
    failure = peer.receive("image_generation_failed")

    assert (failure["retryable"], failure["reason"]) == (False, "width must be a whole number from 1 to 8192.")


def test_invalid_and_unknown_messages_are_ignored(browser: Chromium, server: ScriptedServer) -> None:
    peer = connect(browser, server)
    peer.welcome()
    peer.send_text("no JSON")
    peer.send_text("[1]")
    peer.send_text(b"\x00\x01")
    peer.send("generate_image", requestId=7)
    peer.send("constructor")
    peer.send("news_from_a_later_version")
    assign(peer)

    assert peer.receive("image_generated")["requestId"] == JOB


def test_a_pause_is_reported_at_once_and_running_jobs_are_finished(browser: Chromium, server: ScriptedServer) -> None:
    peer = connect(browser, server, providers=[canvas(["*"], delayMs=100)])
    peer.welcome()
    assign(peer)
    peer.receive("heartbeat")
    browser.save(paused=True)

    heartbeat = peer.receive("heartbeat")
    assert (heartbeat["status"]["available"], heartbeat["activeRequestIds"]) == (False, [JOB])
    assert peer.receive("image_generated")["requestId"] == JOB


def test_outside_working_hours_it_registers_as_unavailable_until_they_start(
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
    metadata = peer.welcome()["metadata"]
    assert (metadata["capabilities"], metadata["available"]) == (["image-generation", "*", *OPERATIONS], False)
    assert not peer.receive("heartbeat")["status"]["available"]
    browser.save(hours={**never, "enabled": False, "days": [1]})
    assert peer.receive("heartbeat")["status"]["available"]


def test_there_is_at_most_one_connection(browser: Chromium, server: ScriptedServer) -> None:
    connect(browser, server).welcome()
    with browser.open("pages/popup.html") as page:
        page.evaluate(
            "await Promise.all(Array.from({ length: 20 }, () => chrome.runtime.sendMessage({ type: 'connect' }))); 0"
        )
    accepted: list[Peer] = []

    def open_peers() -> list[Peer]:
        """Accept all new connections and return those that are open."""
        for peer in server.sockets.peers[len(accepted) + 1 :]:
            accepted.append(peer)
            with suppress(ConnectionClosed, OSError):
                peer.send("authentication_required")
                peer.send("authentication_success", extensionId="e1")
        return [peer for peer in accepted if not peer.closed.is_set() and peer.of_type("heartbeat")]

    until(open_peers, 20, "a connection")
    until(lambda: len(open_peers()) == 1, 20, "all other connections to be closed")
    assert browser.status()["state"] == "connected"
    assert sum(not peer.closed.is_set() for peer in server.sockets.peers) == 1


@pytest.mark.parametrize("code", [1001, 1012, 1011, 4004])
def test_it_reconnects_after_the_server_closed_the_connection(
    browser: Chromium, server: ScriptedServer, code: int
) -> None:
    peer = connect(browser, server)
    peer.welcome()
    peer.close(code)

    server.sockets.next().welcome()
    browser.until_status("status.state === 'connected'")
