"""Who asks for the benchmark: each client asks what is its own."""

from __future__ import annotations

import socket
import threading

import pytest

from bench.load.http import Crowd, request_text
from bench.load.loop import Loop

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


@pytest.mark.parametrize(
    ("keys", "asked"),
    [(["a"], "aaa"), (["a", "b"], "aab"), (["a", "b", "c"], "abc"), (["a", "b", "c", "d"], "abc")],
)
def test_requests_are_dealt_to_clients_in_turn(keys: list[str], asked: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        heard: list[str] = []
        hearing = threading.Thread(target=_hear, args=(server, len(asked), heard), daemon=True)
        hearing.start()
        crowd = Crowd(Loop())
        requests = [request_text("GET", "/", key=key).decode() for key in keys]
        assert crowd.open(server.getsockname()[1], len(asked), requests)["count"] == len(asked)
        crowd.close()
        hearing.join(10)
    assert "".join(sorted(heard)) == asked


def _hear(server: socket.socket, clients: int, heard: list[str]) -> None:
    """Answer one request of each client, and note its key."""
    for _ in range(clients):
        client, _ = server.accept()
        with client:
            heard.append(client.recv(65_536).decode().partition("Bearer ")[2].split("\r\n")[0])
            client.sendall(ANSWER)
