"""Where requests go, with which key, and what faults of the connection become, with threads and with async."""

from __future__ import annotations

import asyncio
import gzip
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from imagefleet import AsyncClient, BadAnswer, Client, ConnectionLost, ImagefleetError, Unreachable
from imagefleet.calls.base import Call
from imagefleet.transport import Transport
from tests.support.ports import free_port
from tests.support.scripted_server import RecordedRequest, Reply, ScriptedServer
from tests.support.waiting import until
from tests.support.wire_answers import GENERATE, ID, IMAGE, STATUS, accepted, result, status

KEY = "imgk_a_b"
Fault = Callable[[str], ImagefleetError]


def fault_of_threads(address: str) -> ImagefleetError:
    with Client(address, patience_s=0.0) as client, pytest.raises(ImagefleetError) as caught:
        client.status(ID)
    return caught.value


def fault_of_async(address: str) -> ImagefleetError:
    async def use() -> None:
        async with AsyncClient(address, patience_s=0.0) as client:
            await client.status(ID)

    with pytest.raises(ImagefleetError) as caught:
        asyncio.run(use())
    return caught.value


@pytest.fixture(params=[fault_of_threads, fault_of_async])
def fault(request: pytest.FixtureRequest) -> Fault:
    """What a call to a server raises."""
    chosen: Fault = request.param
    return chosen


@contextmanager
def raw_server(*answers: bytes) -> Iterator[str]:
    """The address of a server that sends each connection one of these bytes and closes it."""

    def serve(listener: socket.socket) -> None:
        for answer in answers:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65_536)
                connection.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = threading.Thread(target=serve, args=(listener,), daemon=True)
        serving.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        serving.join(10)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Encoding: gzip\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 100\r\n\r\n{",
    ],
)
def test_an_answer_that_breaks_off_or_is_no_http_is_a_lost_connection(fault: Fault, answer: bytes) -> None:
    with raw_server(answer) as address:
        error = fault(address)
    assert type(error) is ConnectionLost
    assert error.detail.startswith(f"The connection to {address} broke before the response arrived: ")


def test_a_compressed_answer_is_read(scripted: ScriptedServer) -> None:
    body = gzip.compress(f'{{"requestId":"{ID}","status":"completed"}}'.encode())
    scripted.on("GET", STATUS, Reply(body, headers={"Content-Encoding": "gzip"}))
    with Client(scripted.url) as client:
        assert client.status(ID).status == "completed"


@pytest.mark.parametrize("place", ["connect", "read"])
def test_a_server_that_is_silent_is_given_up(place: str) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener, Transport(_address(listener)) as transport:
        if place == "connect":
            listener.close()
        with pytest.raises(Unreachable) as caught:
            transport.fetch(Call("GET", "/health", read_s=0.2), patience_s=0.0)
    expected = {"connect": "Cannot connect to .*: connection refused", "read": "broke before .*: it timed out"}
    assert caught.match(expected[place])


def _address(listener: socket.socket) -> str:
    return f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_a_redirect_on_the_same_server_is_followed_with_the_key(scripted: ScriptedServer) -> None:
    scripted.on("GET", STATUS, Reply(status=308, headers={"Location": "/moved"}))
    scripted.on("GET", "/moved", status("completed", 2))
    scripted.on("POST", GENERATE, Reply(status=307, headers={"Location": f"{scripted.url}/submit"}))
    scripted.on("POST", "/submit", accepted())
    with Client(scripted.url, key=KEY) as client:
        assert client.status(ID).status == "completed"
        assert client.submit("A fox").request_id == ID
    assert {each.headers["authorization"] for each in scripted.requests} == {f"Bearer {KEY}"}
    first, second = (scripted.requests_to("POST", path)[0] for path in (GENERATE, "/submit"))
    assert (first.body, first.headers["idempotency-key"]) == (second.body, second.headers["idempotency-key"])


def test_a_redirect_to_another_server_is_not_followed_but_named(scripted: ScriptedServer, fault: Fault) -> None:
    with ScriptedServer() as elsewhere:
        scripted.on("GET", STATUS, Reply(status=302, headers={"Location": f"{elsewhere.url}/x"}))
        error = fault(scripted.url)
        assert type(error) is BadAnswer
        assert error.detail == f"{scripted.url} redirects to {elsewhere.url}/x: change the address of the server."
        assert elsewhere.requests == []


@pytest.mark.parametrize("code", [301, 302, 303])
def test_a_submission_is_not_turned_into_a_question(scripted: ScriptedServer, code: int) -> None:
    scripted.on("POST", GENERATE, Reply(status=code, headers={"Location": GENERATE}))
    with Client(scripted.url) as client, pytest.raises(BadAnswer, match="redirects to"):
        client.submit("A fox")
    assert [each.method for each in scripted.requests] == ["POST"]


@pytest.mark.parametrize("location", ["ftp://x/", "http://[::1", "", "/" + "x" * 70_000])
def test_a_redirect_to_nowhere_is_reported(scripted: ScriptedServer, fault: Fault, location: str) -> None:
    scripted.on("GET", STATUS, Reply(status=302, headers={"Location": location}))
    assert isinstance(fault(scripted.url), BadAnswer | ConnectionLost)


def test_a_proxy_of_the_environment_is_used_but_not_for_this_machine(
    scripted: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    scripted.on("GET", STATUS, status("completed", 2))
    monkeypatch.setenv("http_proxy", scripted.url)
    with Client("http://fleet.example") as client:
        assert client.status(ID).status == "completed"
    assert scripted.requests[0].headers["host"] == "fleet.example"
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
    for host in ("127.0.0.1", "localhost"):
        with Client(scripted.url.replace("127.0.0.1", host)) as client:
            assert client.status(ID).status == "completed"


def test_an_address_may_have_a_path(scripted: ScriptedServer) -> None:
    scripted.on("GET", f"/fleet{STATUS}", status("completed", 2))
    with Client(f"{scripted.url}/fleet/", key=KEY) as client:
        assert client.status(ID).status == "completed"
    assert scripted.requests[0].headers["authorization"] == f"Bearer {KEY}"


def test_a_host_may_have_any_letters(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def look_up(host: object, *_: object, **__: object) -> object:
        asked.append(host)
        raise socket.gaierror(socket.EAI_NONAME, "none")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    assert fault_of_threads("https://bücher.example").detail == "There is no host named bücher.example."
    assert asked[0] in ("xn--bcher-kva.example", b"xn--bcher-kva.example")


@pytest.mark.parametrize("key", ["a\nb", "schlüssel", "a\0b"])
def test_a_key_that_no_header_can_hold_is_refused_without_naming_it(key: str) -> None:
    with pytest.raises(ValueError, match="no key has") as caught:
        Client("http://localhost", key=key)
    assert key not in str(caught.value)


def test_threads_share_a_client(scripted: ScriptedServer) -> None:
    scripted.on("GET", STATUS, status("completed", 2))
    with Client(scripted.url) as client, ThreadPoolExecutor(20) as threads:
        found = list(threads.map(lambda _: client.status(ID).status, range(200)))
    assert found == ["completed"] * 200


def test_many_streams_do_not_hold_up_other_calls(scripted: ScriptedServer) -> None:
    def silence(_: RecordedRequest) -> Reply:
        def pieces() -> Iterator[bytes]:
            yield b": hello\n\n"
            scripted.closing.wait(30)

        return Reply(pieces(), headers={"Content-Type": "text/event-stream"})

    scripted.on("GET", f"{IMAGE}/events", silence)
    scripted.on("GET", IMAGE, result())

    async def use() -> str:
        async with AsyncClient(scripted.url) as client:
            streams = [asyncio.create_task(anext(client.stream(ID))) for _ in range(120)]
            await asyncio.to_thread(until, lambda: len(scripted.requests_to("GET", f"{IMAGE}/events")) == 120)
            found = (await client.get(ID)).status
            for each in streams:
                each.cancel()
            await asyncio.gather(*streams, return_exceptions=True)
            return found

    assert asyncio.run(use()) == "completed"


def test_a_closed_client_says_so(scripted: ScriptedServer) -> None:
    client = Client(scripted.url)
    client.close()
    with pytest.raises(RuntimeError, match="closed"):
        client.status(ID)
