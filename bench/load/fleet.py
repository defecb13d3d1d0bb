"""`python -m bench.load.fleet`: extensions on sockets, and a client that submits requests for them."""

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
from bench.load.loop import Loop, run_commands
from bench.load.wire import Peer

AT_ONCE = 40  # sockets that are connecting
SOURCES = 900  # sockets per local address
TIMEOUT_S = 60.0
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
    """One extension."""

    def __init__(self, fleet: Fleet, number: int, login: Json) -> None:
        self.id = str(login["extensionId"])
        self.authenticated = False
        self._fleet, self._login = fleet, login
        self.peer = Peer(fleet.loop, fleet.port, "/ws", self._on_text, source=f"127.0.0.{2 + number // SOURCES}")

    def send(self, **message: Any) -> None:
        """Send one message."""
        self.peer.send(json.dumps(message))

    def send_heartbeat(self) -> None:
        """Send a heartbeat as in the contract."""
        status = {"available": True, "queueSize": 0, "activeRequests": 0}
        self.send(type="heartbeat", extensionId=self.id, status=status)

    def _on_text(self, text: str) -> None:
        now = time.perf_counter()
        message = json.loads(text)
        kind = message["type"]
        if kind == "authentication_required":
            self.send(**self._login)
        elif kind == "authentication_success":
            self.authenticated = True
            self._fleet.count_authenticated()
        else:
            self._fleet.on_message(self, kind, message, now)


class Fleet:
    """All extensions, connected to one port."""

    def __init__(self, loop: Loop) -> None:
        self.loop = loop
        self.port = 0
        self.members: list[Extension] = []
        self._connecting = 0
        self._callers: deque[Caller] = deque()
        self._post = ("", "")
        self._answer: Callable[[Extension, Json], None] = _refuse
        self._sent_at: dict[int, float] = {}
        self._times: list[float] = []
        self._count = 0
        self._done = 0
        self._in_flight = 0
        self._continuous = self._whole = False
        self._held: dict[str, Extension] = {}
        self._heartbeat_answered = 0.0
        self._refused = 0
        self._picture = "data:image/png;base64," + base64.b64encode(small_picture()).decode()

    # -- commands

    def connect(self, port: int, tokens: list[str], model: str, post: str, slots: int = 1) -> Json:
        """Connect all extensions; `post` is a submission whose prompt is PROMPT."""
        self.port = port
        head, _, body = post.partition("\r\n\r\n")
        head = "\r\n".join(line for line in head.split("\r\n") if not line.startswith("Content-Length"))
        self._post = head, body
        logins = [
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
        waiting = deque(enumerate(logins))
        self._connecting = 0
        while waiting or self._connecting:
            while waiting and self._connecting < AT_ONCE:
                number, login = waiting.popleft()
                self._connecting += 1
                self.members.append(Extension(self, number, login))
            self.loop.turn(0.5)
            if time.perf_counter() - begun > TIMEOUT_S + len(tokens) / 20:
                break
        count = sum(member.authenticated and not member.peer.closed for member in self.members)
        took = time.perf_counter() - begun
        return {"count": count, "seconds": took, "cpu": time.process_time() - cpu}

    def count_authenticated(self) -> None:
        """One more extension is authenticated."""
        self._connecting -= 1

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
        rested = self.loop.until(lambda: not self._sent_at, TIMEOUT_S / 2)
        self._sent_at.clear()
        summary = {"seconds": took, "refused": self._refused, "cpu": time.process_time() - cpu}
        return {**_summary(self._times), **summary, "lost": not rested}

    def begin(self, window: int, *, whole: bool) -> Json:
        """Start submitting continuously with `window` requests in flight: whole jobs, or requests refused on arrival.

        Returns once the first ones are done.
        """
        self._whole, self._continuous, self._done, self._refused = whole, True, 0, 0
        self._answer = self._deliver if whole else self._refuse_and_go_on
        for _ in range(window):
            self._submit()
        enough = min(window, len(self.members))
        self.loop.until(lambda: self._done >= enough, TIMEOUT_S)
        return {"done": self._done}

    def watch(self, seconds: float, least: int = 20) -> Json:
        """Count the jobs done in `seconds`; on a slow machine it continues until there are at least `least`."""
        before, self._times, self._refused = self._done, [], 0
        begun, cpu = time.perf_counter(), time.process_time()
        ends, enough = begun + seconds, before + least
        self.loop.until(lambda: time.perf_counter() >= ends and self._done >= enough, seconds + TIMEOUT_S)
        summary = {"seconds": time.perf_counter() - begun, "cpu": time.process_time() - cpu, "refused": self._refused}
        return {**_summary(self._times), **summary, "count": self._done - before}

    def stop(self) -> Json:
        """Stop submitting, and wait until all requests are done."""
        self._continuous = False
        rested = self.loop.until(lambda: self._in_flight <= 0, TIMEOUT_S / 2)
        self._in_flight = 0
        self._sent_at.clear()
        return {"rested": rested}

    def round_trips(self, count: int) -> Json:
        """Heartbeats and their answers, one at a time, from random extensions; times in ms."""
        randomness, times = random.Random(6), []
        for _ in range(count):
            self._heartbeat_answered = 0.0
            sent_at = time.perf_counter()
            randomness.choice(self.members).send_heartbeat()
            if self.loop.until(lambda: self._heartbeat_answered > 0, TIMEOUT_S):
                times.append((self._heartbeat_answered - sent_at) * 1000)
        return _summary(times)

    def progress(self, text: str) -> Json:
        """Every extension reports progress on the requests that `hold` made it keep."""
        held = list(self._held.items())
        for request_id, member in held:
            member.send(type="image_generation_progress", requestId=request_id, progress=50, status=text)
        return {"count": len(held)}

    def hold(self, count: int) -> Json:
        """Submit `count` requests and leave them unfinished; returns their IDs."""
        self._held = {}
        self._answer = self._hold
        for number in range(1, count + 1):
            self._submit()
            self.loop.until(lambda number=number: len(self._held) >= number, TIMEOUT_S)  # type: ignore[misc]
        return {"ids": list(self._held)}

    def _hold(self, member: Extension, message: Json) -> None:
        self._held[message["requestId"]] = member

    def report(self, request_id: str, url: str) -> Json:
        """Report a picture for a held request; seconds until it is confirmed."""
        member = self._held.pop(request_id)
        begun, done = time.perf_counter(), self._done
        member.send(type="image_generated", requestId=request_id, imageUrl=url, metadata={})
        confirmed = self.loop.until(lambda: self._done > done, TIMEOUT_S)
        return {"seconds": time.perf_counter() - begun, "confirmed": confirmed}

    # -- what happens

    def on_message(self, member: Extension, kind: str, message: Json, now: float) -> None:
        """Handle a message that an extension received."""
        if kind == "generate_image":
            sent_at = self._sent_at.pop(int(message["prompt"].rpartition(MARK)[2]), None)
            if sent_at is not None:
                self._times.append((now - sent_at) * 1000)
            self._answer(member, message)
        elif kind == "image_generation_confirmed":
            self._job_done()
        elif kind == "heartbeat_response":
            self._heartbeat_answered = now

    def _submit(self) -> None:
        self._count += 1
        self._in_flight += 1
        head, body = self._post
        body = body.replace("PROMPT", f"A futuristic cityscape at night, {MARK}{self._count}")
        caller = self._callers.popleft() if self._callers else Caller(self.loop, self.port)
        self._sent_at[self._count] = time.perf_counter()
        request = f"{head}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
        caller.send(request, partial(self._submitted, caller, self._count))

    def _job_done(self) -> None:
        self._done += 1
        self._in_flight -= 1
        if self._continuous:
            self._submit()

    def _refuse_and_go_on(self, member: Extension, message: Json) -> None:
        _refuse(member, message)
        self._job_done()

    def _submitted(self, caller: Caller, number: int, status: int, _: bytes) -> None:
        self._callers.append(caller)
        if status != 200:
            self._refused += 1
            self._sent_at.pop(number, None)
            self._in_flight -= 1
            if self._continuous:
                self._submit()

    def _deliver(self, member: Extension, message: Json) -> None:
        summary = {"model": message["model"], "prompt": message["prompt"], "width": SIDE_PX, "height": SIDE_PX}
        member.send(
            type="image_generated",
            requestId=message["requestId"],
            imageUrl=self._picture,
            metadata=summary,
            correlationId=message["correlationId"],
        )


def _refuse(member: Extension, message: Json) -> None:
    """Fail the request without a retry or a strike, so that the extension is free for the next one."""
    member.send(
        type="image_generation_failed",
        requestId=message["requestId"],
        error="content policy",
        retryable=False,
        correlationId=message["correlationId"],
    )


def _summary(times: list[float]) -> Json:
    if not times:
        return {"count": 0, "p50": 0.0, "p99": 0.0}
    return {"count": len(times), "p50": percentile(times, 50), "p99": percentile(times, 99)}


def main() -> None:
    """Execute commands until stdin ends."""
    loop = Loop()
    fleet = Fleet(loop)
    names = ("connect", "handoff", "begin", "watch", "stop", "round_trips", "hold", "report", "progress")
    run_commands(loop, {name: getattr(fleet, name) for name in names})


if __name__ == "__main__":
    main()
