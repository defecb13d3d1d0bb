"""The TCP socket below a WebSocket, with real sockets of gevent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gevent
import pytest
from gevent import socket

from app.hub.wire_socket import WireSocket

MORE_THAN_THE_BUFFERS = b"x" * 2**24


@pytest.fixture
def pair() -> Iterator[tuple[Any, Any]]:
    """Both ends of a connection."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def received(peer: Any, size: int) -> int:
    """Read `size` bytes and return how many there were before the end."""
    left = size
    while left and (data := peer.recv(2**16)):
        left -= len(data)
    return size - left


def test_a_send_may_take_longer_than_the_time_out_of_a_read(pair: tuple[Any, Any]) -> None:
    wire = WireSocket(pair[0], send_timeout_s=20)
    sending = gevent.spawn(wire.send, MORE_THAN_THE_BUFFERS)
    for _ in range(3):
        assert wire.read(0.02) is None

    assert received(pair[1], len(MORE_THAN_THE_BUFFERS)) == len(MORE_THAN_THE_BUFFERS)
    assert sending.get(timeout=20) == len(MORE_THAN_THE_BUFFERS)


def test_a_peer_that_reads_nothing_is_disconnected_after_the_time_out_of_a_send(pair: tuple[Any, Any]) -> None:
    wire = WireSocket(pair[0], send_timeout_s=0.05)
    with pytest.raises(TimeoutError):
        wire.send(MORE_THAN_THE_BUFFERS)
    with pytest.raises(OSError, match="Bad file descriptor"):
        wire.send(b"more")


def test_a_peer_that_has_disconnected_ends_a_send(pair: tuple[Any, Any]) -> None:
    wire = WireSocket(pair[0], send_timeout_s=20)
    sending = gevent.spawn(wire.send, MORE_THAN_THE_BUFFERS)
    assert wire.read(0.02) is None
    pair[1].close()
    with pytest.raises(OSError):  # noqa: PT011 - a broken pipe or a reset, as the system has it
        sending.get(timeout=20)
