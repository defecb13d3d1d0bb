"""The client's side of one WebSocket."""

from __future__ import annotations

import json
import ssl
import threading
from pathlib import Path

import pytest
from websockets.sync.server import ServerConnection, serve

from imagefleet.extension.connection import Closed, Connection, connected
from tests.support.certificates import self_signed
from tests.support.scripted_server import ScriptedServer


def test_nothing_is_sent_after_a_graceful_close(scripted: ScriptedServer) -> None:
    with connected(scripted.ws_url, silence_s=5) as connection:
        peer = scripted.sockets.next()
        connection.close_gracefully({"type": "heartbeat"})
        with pytest.raises(Closed, match="the extension is stopping"):
            connection.send({"type": "generation_progress"})

    assert peer.closed.wait(5)
    assert [message["type"] for message in peer.received] == ["heartbeat"]


def test_no_proxy_of_the_environment_leads_to_this_machine(
    scripted: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    with connected(scripted.ws_url, silence_s=5):
        scripted.sockets.next()
    with pytest.raises(Closed, match="connection refused"), connected("ws://imagefleet.example/ws", silence_s=5):
        pass


def test_a_server_that_stops_reading_counts_as_silent_and_blocks_no_sender() -> None:
    ended = threading.Event()
    errors: list[Closed] = []

    def send_on(connection: Connection) -> None:
        try:
            while True:
                connection.send({"type": "image_generated", "imageUrl": "x" * 1_000_000})
        except Closed as error:
            errors.append(error)

    def ignore(_: ServerConnection) -> None:
        ended.wait(30)

    with serve(ignore, "127.0.0.1", 0, max_queue=1, max_size=None) as server:
        threading.Thread(target=server.serve_forever).start()
        port = server.socket.getsockname()[1]
        with connected(f"ws://127.0.0.1:{port}", silence_s=1.0) as connection:
            sender = threading.Thread(target=send_on, args=(connection,))
            sender.start()
            with pytest.raises(Closed, match="the server has been silent for too long"):
                connection.receive()
            sender.join(5)
        ended.set()
        server.shutdown()
    assert [str(error).startswith("the connection broke") for error in errors] == [True]


def test_over_tls_the_certificate_has_to_be_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate = self_signed(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.file, certificate.key)
    received: list[object] = []

    def echo(socket: ServerConnection) -> None:
        for message in socket:
            received.append(json.loads(message))
            socket.send("heard")

    with serve(echo, "127.0.0.1", 0, ssl=context) as server:
        threading.Thread(target=server.serve_forever).start()
        url = f"wss://127.0.0.1:{server.socket.getsockname()[1]}"
        with pytest.raises(Closed, match="certificate verify failed"), connected(url, silence_s=5):
            pass
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate.file))
        with connected(url, silence_s=5) as connection:
            connection.send({"type": "first"})
            assert connection.receive() == "heard"
            connection.close_gracefully({"type": "last"})
        server.shutdown()
    assert received == [{"type": "first"}, {"type": "last"}]
