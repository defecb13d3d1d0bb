"""One thread, many sockets: who puts load on others should cost little itself."""

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
    """Calls the handler of whatever socket has something to read (or, before it is connected, can be written to)."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._handlers: dict[int, Handler] = {}

    def add(self, fd: int, handler: Handler, *, writing: bool = False) -> None:
        """Have `handler` called from now on."""
        self._handlers[fd] = handler
        self._epoll.register(fd, select.EPOLLOUT if writing else select.EPOLLIN)

    def read_now(self, fd: int, handler: Handler) -> None:
        """What was connecting is connected: it reads from here on."""
        self._handlers[fd] = handler
        self._epoll.modify(fd, select.EPOLLIN)

    def remove(self, fd: int) -> None:
        """Nothing more of it."""
        if self._handlers.pop(fd, None) is not None:
            self._epoll.unregister(fd)

    def turn(self, timeout_s: float) -> None:
        """Wait for something, for `timeout_s` at most, and deal with it."""
        for fd, _ in self._epoll.poll(max(timeout_s, 0.0)):
            handler = self._handlers.get(fd)
            if handler is not None:
                handler()

    def until(self, done: Callable[[], bool], timeout_s: float) -> bool:
        """Go on until `done`; False where that took too long."""
        ends = time.perf_counter() + timeout_s
        while not done():
            left = ends - time.perf_counter()
            if left <= 0:
                return False
            self.turn(min(left, 0.1))
        return True


def obey(loop: Loop, commands: dict[str, Callable[..., dict[str, Any]]]) -> None:
    """Carry out commands that come on stdin, one JSON object a line, and answer each on stdout; end with stdin.

    Between two commands the loop goes on: whoever is connected has to answer pings.
    """
    said = b""
    heard = []
    stdin = sys.stdin.fileno()
    loop.add(stdin, lambda: heard.append(os.read(stdin, 1 << 20)))
    while True:
        while b"\n" not in said:
            loop.turn(1.0)
            for piece in heard:
                if not piece:
                    return
                said += piece
            heard.clear()
        line, _, said = said.partition(b"\n")
        command = json.loads(line)
        answer = commands[command.pop("do")](**command)
        print(json.dumps(answer), flush=True)
