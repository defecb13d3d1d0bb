"""Ports for servers that tests start."""

from __future__ import annotations

import contextlib
import socket


def free_port(host: str = "127.0.0.1") -> int:
    """A port that nobody listens on now and that the system will not hand out again soon."""
    return free_ports(1, host)[0]


def free_ports(count: int, host: str = "127.0.0.1") -> list[int]:
    """Several different ones."""
    with contextlib.ExitStack() as stack:
        listeners = [stack.enter_context(socket.create_server((host, 0))) for _ in range(count)]
        return [int(listener.getsockname()[1]) for listener in listeners]
