"""A minimal event loop on one thread, so that the load generators themselves need little CPU."""

from __future__ import annotations

import json
import os
import select
import sys
import time
from collections.abc import Callable
from typing import Any

Handler = Callable[[], None]


class Loop:
    """Calls the handler of every socket that is readable (or, while it is connecting, writable)."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._handlers: dict[int, Handler] = {}

    def add(self, fd: int, handler: Handler, *, writing: bool = False) -> None:
        """Register `handler`."""
        self._handlers[fd] = handler
        self._epoll.register(fd, select.EPOLLOUT if writing else select.EPOLLIN)

    def read_now(self, fd: int, handler: Handler) -> None:
        """Switch a connected socket from writing to reading."""
        self._handlers[fd] = handler
        self._epoll.modify(fd, select.EPOLLIN)

    def remove(self, fd: int) -> None:
        """Unregister a socket."""
        if self._handlers.pop(fd, None) is not None:
            self._epoll.unregister(fd)

    def turn(self, timeout_s: float) -> None:
        """Wait for events, `timeout_s` at most, and handle them."""
        for fd, _ in self._epoll.poll(max(timeout_s, 0.0)):
            handler = self._handlers.get(fd)
            if handler is not None:
                handler()

    def until(self, done: Callable[[], bool], timeout_s: float) -> bool:
        """Handle events until `done`; False after `timeout_s`."""
        ends = time.perf_counter() + timeout_s
        while not done():
            left = ends - time.perf_counter()
            if left <= 0:
                return False
            self.turn(min(left, 0.1))
        return True


def run_commands(loop: Loop, commands: dict[str, Callable[..., dict[str, Any]]]) -> None:
    """Execute commands from stdin, one JSON object per line, and print each result on stdout, until stdin ends.

    The loop also runs between commands, because connected sockets have to answer pings.
    """
    buffer = b""
    pieces = []
    stdin = sys.stdin.fileno()
    loop.add(stdin, lambda: pieces.append(os.read(stdin, 1 << 20)))
    while True:
        while b"\n" not in buffer:
            loop.turn(1.0)
            for piece in pieces:
                if not piece:
                    return
                buffer += piece
            pieces.clear()
        line, _, buffer = buffer.partition(b"\n")
        command = json.loads(line)
        answer = commands[command.pop("do")](**command)
        print(json.dumps(answer), flush=True)
