"""The reference extension and broken connections: it reconnects, and no finished work is lost."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.support.ports import free_port
from tests.support.reference_extension import JOB, RunningExtension, running_extension, send_job
from tests.support.scripted_server import ScriptedServer
from tests.support.waiting import until


@pytest.fixture
def running(scripted: ScriptedServer) -> Iterator[RunningExtension]:
    with running_extension(scripted, heartbeat_s=0.05) as running:
        yield running


def test_heartbeats_list_the_requests_it_works_on(scripted: ScriptedServer, running: RunningExtension) -> None:
    peer = scripted.sockets.next()
    peer.welcome()
    idle = peer.receive("heartbeat")
    assert idle == {
        "type": "heartbeat",
        "extensionId": "e1",
        "status": {"available": True, "queueSize": 0, "activeRequests": 0},
        "activeRequestIds": [],
    }
    running.renderer.hold()
    send_job(peer, "one")
    send_job(peer, "two")
    busy = until(lambda: next((each for each in peer.of_type("heartbeat") if len(each["activeRequestIds"]) == 2), None))
    assert busy is not None
    assert busy["activeRequestIds"] == ["one", "two"]
    assert busy["status"] == {"available": True, "queueSize": 1, "activeRequests": 1}


def test_a_result_is_sent_again_until_it_is_confirmed(scripted: ScriptedServer, running: RunningExtension) -> None:
    first = scripted.sockets.next()
    first.welcome()
    send_job(first, lease="l1")
    report = first.receive("image_generated")
    first.cut()
    second = scripted.sockets.next()
    assert second.welcome(activeRequestIds=[JOB])["activeRequestIds"] == [JOB]
    assert second.receive("image_generated") == report
    second.send("image_generation_confirmed", requestId=JOB, imagePath="/generated-images/a.png", correlationId="c1")
    until(lambda: running.has_logged("is stored as /generated-images/a.png"))
    second.close(1001)
    assert scripted.sockets.next().welcome()["activeRequestIds"] == []


def test_work_continues_while_disconnected(scripted: ScriptedServer, running: RunningExtension) -> None:
    first = scripted.sockets.next()
    first.welcome()
    running.renderer.hold()
    send_job(first)
    until(lambda: running.renderer.drawn)
    first.cut()
    second = scripted.sockets.next()
    running.renderer.release()
    until(lambda: running.has_logged(f"job {JOB}: done"))
    assert second.welcome()["activeRequestIds"] == [JOB]
    second.receive("image_generated")
    assert len(second.of_type("image_generated")) == 1


def test_a_result_of_an_unknown_request_is_dropped(scripted: ScriptedServer, running: RunningExtension) -> None:
    first = scripted.sockets.next()
    first.welcome()
    send_job(first)
    first.receive("image_generated")
    first.cut()
    second = scripted.sockets.next()
    second.welcome(activeRequestIds=[])
    until(lambda: running.has_logged(f"job {JOB} was dropped"))
    send_job(second, "two")
    assert second.receive("image_generated")["requestId"] == "two"


def test_a_failure_is_sent_once_and_then_dropped(scripted: ScriptedServer, running: RunningExtension) -> None:
    first = scripted.sockets.next()
    first.welcome()
    send_job(first, parameters={"width": -1})
    first.receive("image_generation_failed")
    first.cut()
    assert scripted.sockets.next().welcome()["activeRequestIds"] == []


@pytest.mark.parametrize("code", [1001, 1012, 4001, 4003])
def test_it_reconnects_after_every_close_code(scripted: ScriptedServer, running: RunningExtension, code: int) -> None:
    peer = scripted.sockets.next()
    peer.welcome()
    peer.close(code, "because")
    scripted.sockets.next().welcome()
    assert running.has_logged(f"code {code}: because; trying again")


def test_it_pauses_after_it_was_replaced_by_another_of_the_same_name(scripted: ScriptedServer) -> None:
    with running_extension(scripted, max_pause_s=1.0):
        peer = scripted.sockets.next()
        peer.welcome()
        began = time.monotonic()
        peer.close(4000)
        scripted.sockets.next()
        assert time.monotonic() - began > 0.5


def test_the_error_of_a_server_that_rejects_the_extension_is_logged(
    scripted: ScriptedServer, running: RunningExtension
) -> None:
    peer = scripted.sockets.next()
    peer.send("authentication_required")
    peer.receive("authenticate")
    peer.send("error", error="This token is not known.", code="ERR_FORBIDDEN")
    peer.close(4001)
    until(lambda: running.has_logged("did not accept the extension: This token is not known; trying again"))
    scripted.sockets.next().welcome()


def test_a_silent_server_counts_as_disconnected(scripted: ScriptedServer) -> None:
    with running_extension(scripted, silence_s=0.2) as running:
        scripted.sockets.next()
        scripted.sockets.next().welcome()
        assert running.has_logged("silent for too long")


def test_a_server_that_answers_only_pings_counts_as_connected(scripted: ScriptedServer) -> None:
    with running_extension(scripted, silence_s=0.5, heartbeat_s=0.05) as running:
        peer = scripted.sockets.next()
        peer.welcome()
        until(lambda: len(peer.of_type("heartbeat")) > 15)
        assert not running.has_logged("trying again")


def test_it_waits_for_a_server_that_is_not_reachable_yet() -> None:
    port = free_port()
    with (
        ScriptedServer() as elsewhere,
        running_extension(elsewhere, websocket_url=f"ws://127.0.0.1:{port}/ws") as early,
    ):
        until(lambda: early.has_logged("connection refused; trying again"))
        with ScriptedServer(port) as server:
            server.sockets.next().welcome()


def test_stopping_returns_unfinished_jobs_and_closes_gracefully(
    scripted: ScriptedServer, running: RunningExtension
) -> None:
    peer = scripted.sockets.next()
    peer.welcome()
    send_job(peer, "done")
    peer.receive("image_generated")
    running.renderer.hold()
    send_job(peer, "begun")
    until(lambda: len(running.renderer.drawn) == 2)
    running.extension.stop()
    running.thread.join(10)
    assert not running.thread.is_alive()
    until(peer.closed.is_set)
    assert peer.close_code == 1001
    last = peer.received[-1]
    assert (last["type"], last["status"]["available"], last["activeRequestIds"]) == ("heartbeat", False, ["done"])


def test_stopping_does_not_depend_on_the_server() -> None:
    with ScriptedServer() as scripted:
        running = RunningExtension(scripted)
        scripted.sockets.next()
        running.extension.stop()
        running.thread.join(10)
        assert not running.thread.is_alive()
