"""Ports for servers that tests start."""

from __future__ import annotations

import socket
from random import SystemRandom

# Below the range for outgoing connections, one of which could otherwise take a port before the server does.
PORT_RANGE = (15_000, 32_000)


def free_port(host: str = "127.0.0.1") -> int:
    """A free port that the system will not assign again soon."""
    return free_ports(1, host)[0]


def free_ports(count: int, host: str = "127.0.0.1") -> list[int]:
    """Several different free ports."""
    found: list[int] = []
    while len(found) < count:
        port = SystemRandom().randrange(*PORT_RANGE)
        if port not in found and is_free(host, port):
            found.append(port)
    return found


def is_free(host: str, port: int) -> bool:
    """True if no process listens on it."""
    try:
        socket.create_server((host, port)).close()
    except OSError:
        return False
    return True
