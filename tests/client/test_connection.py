"""The client's side of one WebSocket."""

from __future__ import annotations

import threading

import pytest
from websockets.sync.server import ServerConnection, serve

from imagefleet.extension.connection import Closed, Connection, connected
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
