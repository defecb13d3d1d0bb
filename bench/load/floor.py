"""`python -m bench.load.floor`: the counterpart of `fleet` for floors: POSTs, tasks that publish to a socket, echoes."""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

from bench.figures import percentile
from bench.floors.tasks import NAME, app
from bench.load.http import Caller
from bench.load.loop import Loop, run_commands
from bench.load.wire import Peer

TIMEOUT_S = 60.0
# as long as the message that offers a request to an extension
PADDING = "x" * 620


class Floor:
    """One socket, and a client that sends tasks."""

    def __init__(self, loop: Loop) -> None:
        self.loop = loop
        self._peer: Peer | None = None
        self._sent_at: dict[int, float] = {}
        self._times: list[float] = []
        self._count = 0
        self._sending_s = 0.0
        self._ends = 0.0
        self._callers: deque[Caller] = deque()

    def connect(self, port: int, path: str) -> dict[str, Any]:
        """Open the socket."""
        if self._peer is not None:
            self._peer.close()
        self._peer = peer = Peer(self.loop, port, path, self._on_text)
        self.loop.until(lambda: peer.is_open, TIMEOUT_S)
        return {"open": peer.is_open}

    def handoff(self, rate: float, seconds: float) -> dict[str, Any]:
        """Send tasks at a steady rate; times from the sending of the task to the socket, in ms."""
        return self._at(rate, seconds, self._send)

    def handoff_posted(self, rate: float, seconds: float, port: int, post: str) -> dict[str, Any]:
        """The same, each task sent after the response to `post`; times from the sending of the POST."""
        request = post.encode()
        return self._at(rate, seconds, lambda: self._post(port, request))

    def _at(self, rate: float, seconds: float, begin: Callable[[], None]) -> dict[str, Any]:
        begun = time.perf_counter()
        self._begin(0.0)
        due = begun
        while due < begun + seconds:
            self.loop.turn(due - time.perf_counter())
            if time.perf_counter() >= due:
                begin()
                due += 1 / rate
        return self._end(begun)

    def handoff_most(self, window: int, seconds: float) -> dict[str, Any]:
        """Send tasks continuously with `window` in flight."""
        begun = time.perf_counter()
        self._begin(begun + seconds)
        for _ in range(window):
            self._send()
        self.loop.until(lambda: time.perf_counter() >= self._ends, 1e9)
        return self._end(begun)

    def round_trips(self, count: int) -> dict[str, Any]:
        """A message as long as a heartbeat, and its echo, one at a time; times in ms."""
        assert self._peer is not None
        begun = time.perf_counter()
        self._begin(0.0)
        for number in range(count):
            self._sent_at[number] = time.perf_counter()
            self._peer.send(json.dumps({"number": number, "padding": PADDING[:100]}))
            self.loop.until(lambda: not self._sent_at, TIMEOUT_S)
        return self._end(begun)

    def _begin(self, ends: float) -> None:
        self._times, self._sending_s, self._ends = [], 0.0, ends

    def _end(self, begun: float) -> dict[str, Any]:
        took = time.perf_counter() - begun
        self.loop.until(lambda: not self._sent_at, 10)
        self._sent_at.clear()
        times = self._times or [0.0]
        return {
            "count": len(self._times),
            "seconds": took,
            "p50": percentile(times, 50),
            "p99": percentile(times, 99),
            "sending": self._sending_s,
        }

    def _number(self) -> int:
        self._count += 1
        self._sent_at[self._count] = time.perf_counter()
        return self._count

    def _post(self, port: int, request: bytes) -> None:
        caller = self._callers.popleft() if self._callers else Caller(self.loop, port)
        caller.send(request, partial(self._posted, caller, self._number()))

    def _posted(self, caller: Caller, number: int, status: int, _: bytes) -> None:
        self._callers.append(caller)
        if status == 200:
            self._send_task(number)

    def _send(self) -> None:
        self._send_task(self._number())

    def _send_task(self, number: int) -> None:
        cpu = time.thread_time()
        app.send_task(NAME, args=(json.dumps({"number": number, "padding": PADDING}),), retry=False)
        self._sending_s += time.thread_time() - cpu

    def _on_text(self, text: str) -> None:
        sent_at = self._sent_at.pop(json.loads(text)["number"], None)
        if sent_at is not None:
            self._times.append((time.perf_counter() - sent_at) * 1000)
        if time.perf_counter() < self._ends:
            self._send()


def main() -> None:
    """Execute commands until stdin ends."""
    loop = Loop()
    floor = Floor(loop)
    names = ("connect", "handoff", "handoff_posted", "handoff_most", "round_trips")
    run_commands(loop, {name: getattr(floor, name) for name in names})


if __name__ == "__main__":
    main()
