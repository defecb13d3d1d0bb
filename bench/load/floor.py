"""`python -m bench.load.floor`: what `fleet` does, against floors: POSTs, tasks that publish to a socket, and echoes."""

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
from bench.load.loop import Loop, obey
from bench.load.wire import Peer

PATIENCE_S = 60.0
# as long as what an extension is told about a request
PADDING = "x" * 620


class Floor:
    """One socket, and somebody who sends tasks."""

    def __init__(self, loop: Loop) -> None:
        self.loop = loop
        self._peer: Peer | None = None
        self._asked: dict[int, float] = {}
        self._times: list[float] = []
        self._count = 0
        self._sending_s = 0.0
        self._ends = 0.0
        self._callers: deque[Caller] = deque()

    def connect(self, port: int, path: str) -> dict[str, Any]:
        """Open the socket."""
        if self._peer is not None:
            self._peer.close()
        self._peer = peer = Peer(self.loop, port, path, self._heard)
        self.loop.until(lambda: peer.is_open, PATIENCE_S)
        return {"open": peer.is_open}

    def handoff(self, rate: float, seconds: float) -> dict[str, Any]:
        """Send tasks at a steady rate; times from before it is sent to the socket, in ms."""
        return self._at(rate, seconds, self._send)

    def handoff_posted(self, rate: float, seconds: float, port: int, post: str) -> dict[str, Any]:
        """The same, each task sent once the answer to `post` is there; times from before that is posted."""
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
        """The same as fast as it goes, so many under way."""
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
            self._asked[number] = time.perf_counter()
            self._peer.say(json.dumps({"number": number, "padding": PADDING[:100]}))
            self.loop.until(lambda: not self._asked, PATIENCE_S)
        return self._end(begun)

    def _begin(self, ends: float) -> None:
        self._times, self._sending_s, self._ends = [], 0.0, ends

    def _end(self, begun: float) -> dict[str, Any]:
        took = time.perf_counter() - begun
        self.loop.until(lambda: not self._asked, 10)
        self._asked.clear()
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
        self._asked[self._count] = time.perf_counter()
        return self._count

    def _post(self, port: int, request: bytes) -> None:
        caller = self._callers.popleft() if self._callers else Caller(self.loop, port)
        caller.ask(request, partial(self._posted, caller, self._number()))

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

    def _heard(self, text: str) -> None:
        asked = self._asked.pop(json.loads(text)["number"], None)
        if asked is not None:
            self._times.append((time.perf_counter() - asked) * 1000)
        if time.perf_counter() < self._ends:
            self._send()


def main() -> None:
    """Until stdin ends."""
    loop = Loop()
    floor = Floor(loop)
    names = ("connect", "handoff", "handoff_posted", "handoff_most", "round_trips")
    obey(loop, {name: getattr(floor, name) for name in names})


if __name__ == "__main__":
    main()
