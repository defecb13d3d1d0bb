"""A simulated extension: a thread that connects, accepts requests and handles each one as planned."""

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

from tests.chaos import behaviours
from tests.chaos.history import Confirmed, Moment, Offered, Records, Released, Reported
from tests.chaos.host import ImageHost
from tests.chaos.plan import AttemptPlan, ExtensionPlan
from tests.chaos.schedule import Schedule
from tests.chaos.socket_client import Disconnected, Json, Socket

BEAT_S = 1.5
AUTHENTICATION_S = 3.0  # shorter than a process may be frozen: it answers when nothing waits for the answer any more
UNAVAILABLE = "ERR_UNAVAILABLE"


@dataclass(slots=True)
class Task:
    """A request that the extension holds. It continues a stubborn one against orders, and stops reporting a released one."""

    job: Json
    number: int
    serial: int
    attempt: int
    plan: AttemptPlan
    stubborn: bool = False
    released: bool = False
    delivered: bool = False
    over: bool = False


class SimulatedExtension(threading.Thread):
    """Runs until `stop`. `plan_of(request id, number)` decides what to do with an offered request.

    It disconnects if the server sends nothing for `silence_s`, since every heartbeat should be answered.
    """

    def __init__(
        self,
        plan: ExtensionPlan,
        sockets: Sequence[str],
        host: ImageHost,
        records: Records,
        plan_of: Callable[[str, int], AttemptPlan],
        silence_s: float = math.inf,
    ) -> None:
        super().__init__(name=plan.name, daemon=True)
        self.plan = plan
        self.host = host
        self.records = records
        self.schedule = Schedule()
        self.tasks: dict[str, Task] = {}
        self.away_until = self.frozen_until = self.mute_until = 0.0
        self._sockets = sockets
        self._plan_of = plan_of
        self._silence_s = silence_s
        self._stopping = threading.Event()
        self._connection = self._offers = 0
        self._unanswered: list[Reported | None] = []  # sent and not answered yet; None for a heartbeat
        self._socket_client: Socket | None = None
        self._chance = random.Random(plan.index)

    def run(self) -> None:
        """Connect, and reconnect after a pause whenever the connection ends."""
        while not self._stopping.is_set():
            with contextlib.suppress(Disconnected):
                self._run_connection(self._sockets[(self.plan.index + self._connection) % len(self._sockets)])
            self._connection += 1
            self._stopping.wait(max(self._chance.uniform(0.1, 0.5), self.away_until - time.monotonic()))

    def stop(self) -> None:
        """End soon."""
        self._stopping.set()

    # -- used by behaviours

    def send(self, message: Json | str | bytes) -> None:
        """Send something other than a report."""
        assert self._socket_client is not None
        self._socket_client.send(message)

    def report(self, task: Task, kind: str, body: Json) -> None:
        """Send a report, then a heartbeat whose answer proves that the report was processed."""
        lease = task.job.get("lease") if self.plan.echoes else None
        entry = Reported(
            time.time(),
            self.plan.name,
            self._connection,
            task.job["requestId"],
            kind,
            task.attempt,
            task.serial,
            lease is not None,
        )
        message = {"type": kind, "requestId": entry.request_id, "correlationId": task.job["correlationId"], **body}
        self._unanswered.append(entry)
        self.records.reported.append(entry)
        self.send(message if lease is None else {**message, "lease": lease})
        self.send_heartbeat()

    def send_heartbeat(self) -> None:
        """Send a heartbeat."""
        held = [task for task in self.tasks.values() if not (task.over or task.released)]
        status = {"available": True, "queueSize": 0, "activeRequests": len(held)}
        message: Json = {"type": "heartbeat", "extensionId": self.plan.name, "status": status}
        if not self.plan.literal:
            message["activeRequestIds"] = [task.job["requestId"] for task in self.tasks.values() if not task.released]
        self._unanswered.append(None)
        self.send(message)

    def forget(self, request_id: str) -> None:
        """Drop a request."""
        task = self.tasks.pop(request_id, None)
        if task is not None and not task.released:
            self.release(task)

    def release(self, task: Task) -> None:
        """Stop reporting that it works on the request."""
        task.released = True
        self.records.released.append(Released(time.time(), self.plan.name, task.job["requestId"], task.attempt))

    def vanish(self, away_s: float) -> None:
        """Drop the connection without closing it, and stay away."""
        self.away_until = time.monotonic() + away_s
        raise Disconnected

    def record_moment(self, what: str) -> None:
        """Record an event of the connection for later diagnosis."""
        self.records.moments.append(Moment(time.time(), self.plan.name, self._connection, what))

    # -- one connection

    def _run_connection(self, url: str) -> None:
        self.record_moment(f"opens {url}")
        self._socket_client = Socket(url)
        self._unanswered = []
        try:
            self._authenticate()
            next_beat = answered_at = time.monotonic()
            while not self._stopping.is_set():
                self._thaw()
                now = time.monotonic()
                if now >= max(next_beat, self.mute_until):
                    self.send_heartbeat()
                    next_beat = now + BEAT_S
                if now >= self.mute_until:
                    self.schedule.do_due()
                message = self._socket_client.receive(max(0.02, self.schedule.wait_s(0.1)))
                if message is not None:
                    answered_at = time.monotonic()
                    self._respond(message)
                elif time.monotonic() - answered_at > self._silence_s:
                    raise Disconnected
        finally:
            self.record_moment("is disconnected")
            self._socket_client.drop()

    def _thaw(self) -> None:
        while (left := self.frozen_until - time.monotonic()) > 0 and not self._stopping.is_set():
            self._stopping.wait(min(left, 0.2))

    def _authenticate(self) -> None:
        metadata: Json = {"version": "1.0.0", "capabilities": list(self.plan.capabilities)}
        if self.plan.slots > 1:
            metadata["maxConcurrent"] = self.plan.slots
        hello: Json = {"type": "authenticate", "extensionId": self.plan.name, "metadata": metadata}
        if not self.plan.literal:
            hello["activeRequestIds"] = [task.job["requestId"] for task in self.tasks.values() if not task.released]
        self.record_moment(f"authenticates with {hello.get('activeRequestIds')}")
        self.send(hello)
        ends = time.monotonic() + AUTHENTICATION_S
        while time.monotonic() < ends:
            message = self._socket_client.receive(0.2) if self._socket_client else None
            if message is not None and message["type"] == "authentication_success":
                self._on_authenticated(message)
                return
        raise Disconnected

    def _on_authenticated(self, message: Json) -> None:
        self.record_moment(f"is authenticated with {message.get('activeRequestIds')}")
        if "activeRequestIds" in message:
            for request_id in set(self.tasks) - set(message["activeRequestIds"]):
                self._drop(request_id)
        for task in self.tasks.values():
            if task.delivered:  # but not confirmed
                self.schedule.after(0.05, partial(behaviours.deliver, self, task))

    # -- incoming messages

    def _respond(self, message: Json) -> None:
        match message["type"]:
            case "generate_image":
                self._begin(message)
            case "heartbeat_response":
                self._on_heartbeat_response()
            case "error":
                self._on_error(message)
            case "cancel_generation":
                self._drop(message["requestId"])
            case "image_generation_confirmed":
                self.records.confirmed.append(Confirmed(time.time(), self.plan.name, message["requestId"]))
                self.forget(message["requestId"])

    def _begin(self, job: Json) -> None:
        self._offers += 1
        attempt = int(parse_qs(urlsplit(job["upload"]["url"]).query)["attempt"][0])
        request_id, number = job["requestId"], int(job["prompt"].split()[-1])
        self.records.offered.append(
            Offered(time.time(), self.plan.name, self._connection, request_id, attempt, self._offers)
        )
        self.forget(request_id)
        task = Task(job, number, self._offers, attempt, self._plan_of(request_id, number))
        self.tasks[request_id] = task
        behaviours.begin(self, task)

    def _on_heartbeat_response(self) -> None:
        """Answers come in the order of the messages, so everything sent before this heartbeat was processed."""
        while self._unanswered:
            entry = self._unanswered.pop(0)
            if entry is None:
                return
            if entry.answered_at is None:
                entry.answered_at = time.time()
                if self.plan.literal and entry.kind == "image_generated":
                    self.forget(entry.request_id)  # the bare contract has no confirmation

    def _on_error(self, message: Json) -> None:
        """An error with a request id is about the first unanswered report on that request."""
        request_id = message.get("requestId")
        entry = next((e for e in self._unanswered if e is not None), None)
        if request_id is None or entry is None or entry.request_id != request_id:
            return
        entry.refused, entry.answered_at = message.get("code", ""), time.time()
        task = self.tasks.get(request_id)
        if entry.refused == UNAVAILABLE and task is not None:
            self.schedule.after(1.0, partial(behaviours.deliver, self, task))
        else:
            self._drop(request_id)

    def _drop(self, request_id: str) -> None:
        task = self.tasks.get(request_id)
        if task is not None and not task.stubborn:
            task.over = True
            self.forget(request_id)
