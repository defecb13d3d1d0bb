"""`python -m bench.load.fleet`: extensions on sockets, and a client that submits what they are given to do."""

from __future__ import annotations

import base64
import io
import json
import random
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

from PIL import Image

from bench.figures import percentile
from bench.load.http import Caller
from bench.load.loop import Loop, obey
from bench.load.wire import Peer

AT_ONCE = 40  # sockets that are connecting
SOURCES = 900  # sockets from one address of this machine
PATIENCE_S = 60.0
MARK = "picture "
SIDE_PX = 64

Json = dict[str, Any]


def small_picture() -> bytes:
    """A few KB of PNG."""
    noise = random.Random(6).randbytes(3 * 16 * 16)
    file = io.BytesIO()
    Image.frombytes("RGB", (16, 16), noise).resize((SIDE_PX, SIDE_PX)).save(file, "PNG")
    return file.getvalue()


class Extension:
    """One of the fleet."""

    def __init__(self, fleet: Fleet, number: int, hello: Json) -> None:
        self.id = str(hello["extensionId"])
        self.is_in = False
        self._fleet, self._hello = fleet, hello
        self.peer = Peer(fleet.loop, fleet.port, "/ws", self._heard, source=f"127.0.0.{2 + number // SOURCES}")

    def say(self, **message: Any) -> None:
        """One message."""
        self.peer.say(json.dumps(message))

    def beat(self) -> None:
        """What the contract's heartbeat says."""
        status = {"available": True, "queueSize": 0, "activeRequests": 0}
        self.say(type="heartbeat", extensionId=self.id, status=status)

    def _heard(self, text: str) -> None:
        now = time.perf_counter()
        message = json.loads(text)
        kind = message["type"]
        if kind == "authentication_required":
            self.say(**self._hello)
        elif kind == "authentication_success":
            self.is_in = True
            self._fleet.came_in()
        else:
            self._fleet.heard(self, kind, message, now)


class Fleet:
    """Everybody on one port."""

    def __init__(self, loop: Loop) -> None:
        self.loop = loop
        self.port = 0
        self.members: list[Extension] = []
        self._still_out = 0
        self._callers: deque[Caller] = deque()
        self._post = ("", "")
        self._answer: Callable[[Extension, Json], None] = _refuse
        self._asked: dict[int, float] = {}
        self._times: list[float] = []
        self._count = 0
        self._done = 0
        self._under_way = 0
        self._flowing = self._whole = False
        self._held: dict[str, Extension] = {}
        self._beat_heard = 0.0
        self._refused = 0
        self._picture = "data:image/png;base64," + base64.b64encode(small_picture()).decode()

    # -- commands

    def connect(self, port: int, tokens: list[str], model: str, post: str, slots: int = 1) -> Json:
        """Everybody comes in; `post` is a submission whose prompt is PROMPT."""
        self.port = port
        head, _, body = post.partition("\r\n\r\n")
        head = "\r\n".join(line for line in head.split("\r\n") if not line.startswith("Content-Length"))
        self._post = head, body
        hellos = [
            {
                "type": "authenticate",
                "extensionId": f"e{number}",
                "token": token,
                "metadata": {"version": "1.0.0", "capabilities": [model], "maxConcurrent": slots},
            }
            for number, token in enumerate(tokens)
        ]
        begun = time.perf_counter()
        cpu = time.process_time()
        waiting = deque(enumerate(hellos))
        self._still_out = 0
        while waiting or self._still_out:
            while waiting and self._still_out < AT_ONCE:
                number, hello = waiting.popleft()
                self._still_out += 1
                self.members.append(Extension(self, number, hello))
            self.loop.turn(0.5)
            if time.perf_counter() - begun > PATIENCE_S + len(tokens) / 20:
                break
        count = sum(member.is_in and not member.peer.closed for member in self.members)
        took = time.perf_counter() - begun
        return {"count": count, "seconds": took, "cpu": time.process_time() - cpu}

    def came_in(self) -> None:
        """One more is in."""
        self._still_out -= 1

    def handoff(self, rate: float, seconds: float) -> Json:
        """Submit at a steady rate; each is refused once it has arrived. Times from the POST to the socket, in ms."""
        self._answer, self._times, self._refused = _refuse, [], 0
        begun = due = time.perf_counter()
        cpu = time.process_time()
        while due < begun + seconds:
            self.loop.turn(due - time.perf_counter())
            if time.perf_counter() >= due:
                self._submit()
                due += 1 / rate
        took = time.perf_counter() - begun
        rested = self.loop.until(lambda: not self._asked, PATIENCE_S / 2)
        self._asked.clear()
        said = {"seconds": took, "refused": self._refused, "cpu": time.process_time() - cpu}
        return {**_said(self._times), **said, "lost": not rested}

    def begin(self, window: int, *, whole: bool) -> Json:
        """Submit as fast as it goes, so many under way, from now on; whole jobs, or requests refused on arrival.

        Returns once the first few are done.
        """
        self._whole, self._flowing, self._done, self._refused = whole, True, 0, 0
        self._answer = self._deliver if whole else self._refuse_and_go_on
        for _ in range(window):
            self._submit()
        enough = min(window, len(self.members))
        self.loop.until(lambda: self._done >= enough, PATIENCE_S)
        return {"done": self._done}

    def watch(self, seconds: float, least: int = 20) -> Json:
        """How many are done in so long; on a machine that is slow it goes on until there are at least a few."""
        before, self._times, self._refused = self._done, [], 0
        begun, cpu = time.perf_counter(), time.process_time()
        ends, enough = begun + seconds, before + least
        self.loop.until(lambda: time.perf_counter() >= ends and self._done >= enough, seconds + PATIENCE_S)
        said = {"seconds": time.perf_counter() - begun, "cpu": time.process_time() - cpu, "refused": self._refused}
        return {**_said(self._times), **said, "count": self._done - before}

    def stop(self) -> Json:
        """Submit no more, and wait until all is done."""
        self._flowing = False
        rested = self.loop.until(lambda: self._under_way <= 0, PATIENCE_S / 2)
        self._under_way = 0
        self._asked.clear()
        return {"rested": rested}

    def round_trips(self, count: int) -> Json:
        """A heartbeat and its answer, one at a time, from anybody in turn by chance; times in ms."""
        randomness, times = random.Random(6), []
        for _ in range(count):
            self._beat_heard = 0.0
            asked = time.perf_counter()
            randomness.choice(self.members).beat()
            if self.loop.until(lambda: self._beat_heard > 0, PATIENCE_S):
                times.append((self._beat_heard - asked) * 1000)
        return _said(times)

    def progress(self, text: str) -> Json:
        """Everybody reports on what they have in hand: what is kept in hand is kept by `hold`."""
        held = list(self._held.items())
        for request_id, member in held:
            member.say(type="image_generation_progress", requestId=request_id, progress=50, status=text)
        return {"count": len(held)}

    def hold(self, count: int) -> Json:
        """Submit so many, and keep them in hand; their ids."""
        self._held = {}
        self._answer = self._keep
        for number in range(1, count + 1):
            self._submit()
            self.loop.until(lambda number=number: len(self._held) >= number, PATIENCE_S)  # type: ignore[misc]
        return {"ids": list(self._held)}

    def _keep(self, member: Extension, message: Json) -> None:
        self._held[message["requestId"]] = member

    def report(self, request_id: str, url: str) -> Json:
        """Report a picture of what is in hand; seconds until it is confirmed."""
        member = self._held.pop(request_id)
        begun, done = time.perf_counter(), self._done
        member.say(type="image_generated", requestId=request_id, imageUrl=url, metadata={})
        confirmed = self.loop.until(lambda: self._done > done, PATIENCE_S)
        return {"seconds": time.perf_counter() - begun, "confirmed": confirmed}

    # -- what happens

    def heard(self, member: Extension, kind: str, message: Json, now: float) -> None:
        """An extension was told something."""
        if kind == "generate_image":
            asked = self._asked.pop(int(message["prompt"].rpartition(MARK)[2]), None)
            if asked is not None:
                self._times.append((now - asked) * 1000)
            self._answer(member, message)
        elif kind == "image_generation_confirmed":
            self._one_done()
        elif kind == "heartbeat_response":
            self._beat_heard = now

    def _submit(self) -> None:
        self._count += 1
        self._under_way += 1
        head, body = self._post
        body = body.replace("PROMPT", f"A futuristic cityscape at night, {MARK}{self._count}")
        caller = self._callers.popleft() if self._callers else Caller(self.loop, self.port)
        self._asked[self._count] = time.perf_counter()
        request = f"{head}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
        caller.ask(request, partial(self._submitted, caller, self._count))

    def _one_done(self) -> None:
        self._done += 1
        self._under_way -= 1
        if self._flowing:
            self._submit()

    def _refuse_and_go_on(self, member: Extension, message: Json) -> None:
        _refuse(member, message)
        self._one_done()

    def _submitted(self, caller: Caller, number: int, status: int, _: bytes) -> None:
        self._callers.append(caller)
        if status != 200:
            self._refused += 1
            self._asked.pop(number, None)
            self._under_way -= 1
            if self._flowing:
                self._submit()

    def _deliver(self, member: Extension, message: Json) -> None:
        said = {"model": message["model"], "prompt": message["prompt"], "width": SIDE_PX, "height": SIDE_PX}
        member.say(
            type="image_generated",
            requestId=message["requestId"],
            imageUrl=self._picture,
            metadata=said,
            correlationId=message["correlationId"],
        )


def _refuse(member: Extension, message: Json) -> None:
    """The request ends with that, and nobody is to blame: what comes behind it finds the extension free."""
    member.say(
        type="image_generation_failed",
        requestId=message["requestId"],
        error="content policy",
        retryable=False,
        correlationId=message["correlationId"],
    )


def _said(times: list[float]) -> Json:
    if not times:
        return {"count": 0, "p50": 0.0, "p99": 0.0}
    return {"count": len(times), "p50": percentile(times, 50), "p99": percentile(times, 99)}


def main() -> None:
    """Until stdin ends."""
    loop = Loop()
    fleet = Fleet(loop)
    names = ("connect", "handoff", "begin", "watch", "stop", "round_trips", "hold", "report", "progress")
    obey(loop, {name: getattr(fleet, name) for name in names})


if __name__ == "__main__":
    main()
