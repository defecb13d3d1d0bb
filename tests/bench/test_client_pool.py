"""Every benchmark client sends its own request."""

from __future__ import annotations

import socket
import threading

import pytest

from bench.load.http import ClientPool, request_text
from bench.load.loop import Loop

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


@pytest.mark.parametrize(
    ("keys", "expected"),
    [(["a"], "aaa"), (["a", "b"], "aab"), (["a", "b", "c"], "abc"), (["a", "b", "c", "d"], "abc")],
)
def test_requests_are_dealt_to_clients_in_turn(keys: list[str], expected: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        received: list[str] = []
        receiver = threading.Thread(target=_receive, args=(server, len(expected), received), daemon=True)
        receiver.start()
        pool = ClientPool(Loop())
        requests = [request_text("GET", "/", key=key).decode() for key in keys]
        assert pool.open(server.getsockname()[1], len(expected), requests)["count"] == len(expected)
        pool.close()
        receiver.join(10)
    assert "".join(sorted(received)) == expected


def _receive(server: socket.socket, clients: int, received: list[str]) -> None:
    """Answer one request of each client, and record its key."""
    for _ in range(clients):
        client, _ = server.accept()
        with client:
            received.append(client.recv(65_536).decode().partition("Bearer ")[2].split("\r\n")[0])
            client.sendall(ANSWER)
