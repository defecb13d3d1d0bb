"""One simulated extension: a thread that connects, takes requests and does with each what the plan says."""

from __future__ import annotations

import contextlib
import math
import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from urllib.parse import parse_qs, urlsplit

from tests.chaos import acts
from tests.chaos.agenda import Agenda
from tests.chaos.history import Confirmed, LetGo, Moment, Offered, Records, Reported
from tests.chaos.host import ImageHost
from tests.chaos.plan import Member, Turn
from tests.chaos.wire import Gone, Json, Wire

BEAT_S = 1.5
WELCOME_S = 3.0  # shorter than a process may be frozen: it finds the greeting when nobody waits for an answer any more
UNAVAILABLE = "ERR_UNAVAILABLE"


@dataclass(slots=True)
class Task:
    """A request in hand. A stubborn one goes on whatever the server says; one that is let go is not mentioned."""

    job: Json
    order: int
    serial: int
    attempt: int
    turn: Turn
    stubborn: bool = False
    let_go: bool = False
    delivered: bool = False
    over: bool = False


class Simulated(threading.Thread):
    """Lives until `stop`. `turn_of(request id, order)` says what to do with a request it is given; a server that says nothing
    for `silence_s` is left, as one does whose every heartbeat should be answered."""

    def __init__(
        self,
        member: Member,
        sockets: Sequence[str],
        host: ImageHost,
        records: Records,
        turn_of: Callable[[str, int], Turn],
        silence_s: float = math.inf,
    ) -> None:
        super().__init__(name=member.name, daemon=True)
        self.member = member
        self.host = host
        self.records = records
        self.agenda = Agenda()
        self.tasks: dict[str, Task] = {}
        self.away_until = self.frozen_until = self.mute_until = 0.0
        self._sockets = sockets
        self._turn_of = turn_of
        self._silence_s = silence_s
        self._stopping = threading.Event()
        self._connection = self._offers = 0
        self._said: list[Reported | None] = []  # and not answered yet; None for a heartbeat
        self._wire: Wire | None = None
        self._chance = random.Random(member.index)

    def run(self) -> None:
        """Connect, live, be cut off, wait a moment, connect again."""
        while not self._stopping.is_set():
            with contextlib.suppress(Gone):
                self._live(self._sockets[(self.member.index + self._connection) % len(self._sockets)])
            self._connection += 1
            self._stopping.wait(max(self._chance.uniform(0.1, 0.5), self.away_until - time.monotonic()))

    def stop(self) -> None:
        """End soon."""
        self._stopping.set()

    # -- what acts do

    def say(self, message: Json | str | bytes) -> None:
        """Send something that is nobody's report."""
        assert self._wire is not None
        self._wire.say(message)

    def report(self, task: Task, kind: str, body: Json) -> None:
        """Report on a request, and send a heartbeat behind it, whose answer proves that the report was heard."""
        lease = task.job.get("lease") if self.member.echoes else None
        entry = Reported(
            time.time(),
            self.member.name,
            self._connection,
            task.job["requestId"],
            kind,
            task.attempt,
            task.serial,
            lease is not None,
        )
        message = {"type": kind, "requestId": entry.request_id, "correlationId": task.job["correlationId"], **body}
        self._said.append(entry)
        self.records.reported.append(entry)
        self.say(message if lease is None else {**message, "lease": lease})
        self.beat()

    def beat(self) -> None:
        """A heartbeat."""
        held = [task for task in self.tasks.values() if not (task.over or task.let_go)]
        status = {"available": True, "queueSize": 0, "activeRequests": len(held)}
        message: Json = {"type": "heartbeat", "extensionId": self.member.name, "status": status}
        if not self.member.literal:
            message["activeRequestIds"] = [task.job["requestId"] for task in self.tasks.values() if not task.let_go]
        self._said.append(None)
        self.say(message)

    def forget(self, request_id: str) -> None:
        """The request is in hand no more."""
        task = self.tasks.pop(request_id, None)
        if task is not None and not task.let_go:
            self.let_go(task)

    def let_go(self, task: Task) -> None:
        """The request is not mentioned any more."""
        task.let_go = True
        self.records.let_go.append(LetGo(time.time(), self.member.name, task.job["requestId"], task.attempt))

    def vanish(self, away_s: float) -> None:
        """Drop the connection without a word, and stay away."""
        self.away_until = time.monotonic() + away_s
        raise Gone

    def note(self, what: str) -> None:
        """Write down what happens, for whoever reads it."""
        self.records.moments.append(Moment(time.time(), self.member.name, self._connection, what))

    # -- one connection

    def _live(self, url: str) -> None:
        self.note(f"opens {url}")
        self._wire = Wire(url)
        self._said = []
        try:
            self._introduce()
            next_beat = heard_at = time.monotonic()
            while not self._stopping.is_set():
                self._thaw()
                now = time.monotonic()
                if now >= max(next_beat, self.mute_until):
                    self.beat()
                    next_beat = now + BEAT_S
                if now >= self.mute_until:
                    self.agenda.do_due()
                heard = self._wire.hear(max(0.02, self.agenda.wait_s(0.1)))
                if heard is not None:
                    heard_at = time.monotonic()
                    self._take(heard)
                elif time.monotonic() - heard_at > self._silence_s:
                    raise Gone
        finally:
            self.note("is cut off")
            self._wire.cut()

    def _thaw(self) -> None:
        while (left := self.frozen_until - time.monotonic()) > 0 and not self._stopping.is_set():
            self._stopping.wait(min(left, 0.2))

    def _introduce(self) -> None:
        metadata: Json = {"version": "1.0.0", "capabilities": list(self.member.capabilities)}
        if self.member.slots > 1:
            metadata["maxConcurrent"] = self.member.slots
        hello: Json = {"type": "authenticate", "extensionId": self.member.name, "metadata": metadata}
        if not self.member.literal:
            hello["activeRequestIds"] = [task.job["requestId"] for task in self.tasks.values() if not task.let_go]
        self.note(f"introduces itself with {hello.get('activeRequestIds')}")
        self.say(hello)
        ends = time.monotonic() + WELCOME_S
        while time.monotonic() < ends:
            heard = self._wire.hear(0.2) if self._wire else None
            if heard is not None and heard["type"] == "authentication_success":
                self._welcomed(heard)
                return
        raise Gone

    def _welcomed(self, message: Json) -> None:
        self.note(f"is in with {message.get('activeRequestIds')}")
        if "activeRequestIds" in message:
            for request_id in set(self.tasks) - set(message["activeRequestIds"]):
                self._drop(request_id)
        for task in self.tasks.values():
            if task.delivered:  # and nobody has said that it arrived
                self.agenda.after(0.05, partial(acts.deliver, self, task))

    # -- what it hears

    def _take(self, message: Json) -> None:
        match message["type"]:
            case "generate_image":
                self._begin(message)
            case "heartbeat_response":
                self._proven()
            case "error":
                self._refused(message)
            case "cancel_generation":
                self._drop(message["requestId"])
            case "image_generation_confirmed":
                self.records.confirmed.append(Confirmed(time.time(), self.member.name, message["requestId"]))
                self.forget(message["requestId"])

    def _begin(self, job: Json) -> None:
        self._offers += 1
        attempt = int(parse_qs(urlsplit(job["upload"]["url"]).query)["attempt"][0])
        request_id, order = job["requestId"], int(job["prompt"].split()[-1])
        self.records.offered.append(
            Offered(time.time(), self.member.name, self._connection, request_id, attempt, self._offers)
        )
        self.forget(request_id)
        task = Task(job, order, self._offers, attempt, self._turn_of(request_id, order))
        self.tasks[request_id] = task
        acts.begin(self, task)

    def _proven(self) -> None:
        """The answers come in the order of the questions: what was said before this heartbeat was heard."""
        while self._said:
            entry = self._said.pop(0)
            if entry is None:
                return
            if entry.heard_at is None:
                entry.heard_at = time.time()
                if self.member.literal and entry.kind == "image_generated":
                    self.forget(entry.request_id)  # its contract knows no confirmation

    def _refused(self, message: Json) -> None:
        """An error that names a request is about the first report on it that has no answer yet."""
        request_id = message.get("requestId")
        entry = next((e for e in self._said if e is not None), None)
        if request_id is None or entry is None or entry.request_id != request_id:
            return
        entry.refused, entry.heard_at = message.get("code", ""), time.time()
        task = self.tasks.get(request_id)
        if entry.refused == UNAVAILABLE and task is not None:
            self.agenda.after(1.0, partial(acts.deliver, self, task))
        else:
            self._drop(request_id)

    def _drop(self, request_id: str) -> None:
        task = self.tasks.get(request_id)
        if task is not None and not task.stubborn:
            task.over = True
            self.forget(request_id)
