"""Clients that behave sensibly: they retry, try another server, and resume interrupted streams.

An unanswered request counts as unknown, never as failed.
"""

from __future__ import annotations

import http.client
import itertools
import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from typing import Any

from app.domain.states import FINAL
from tests.chaos.database_probe import DatabaseProbe
from tests.chaos.history import Acknowledged, EventSeen, Records, StatusSeen, StreamEnded
from tests.chaos.plan import Follow, PlannedRequest
from tests.support.service import Answer

TIMEOUT_S = 8.0
POLL_S = 0.7
AGAIN_S = 0.4
WAIT_S = 5

_streams = itertools.count(1)


class Client(threading.Thread):
    """One client with one request. It ends once its request is final, or when it is stopped."""

    def __init__(self, plan: PlannedRequest, webs: Sequence[str], records: Records, probe: DatabaseProbe) -> None:
        super().__init__(name=f"client-{plan.number}", daemon=True)
        self.plan = plan
        self._webs = itertools.cycle([*webs[plan.number % len(webs) :], *webs[: plan.number % len(webs)]])
        self._web = next(self._webs)
        self._records = records
        self._probe = probe
        self._stopping = threading.Event()
        self.request_id: str | None = None
        self.finished = False
        self._version = 0
        self._cancel_at: float | None = None

    def run(self) -> None:
        """Submit the request at the planned time, then follow it."""
        self._stopping.wait(self.plan.at_s)
        self._execute()
        self.finished = True

    def _execute(self) -> None:
        self.request_id = request_id = self._submit()
        if request_id is None:
            return
        if self.plan.cancel_after_s is not None:
            self._cancel_at = time.monotonic() + self.plan.cancel_after_s
        if self.plan.follow is Follow.STREAM and self._cancel_at is None:
            self._stream(request_id)
        while not self._stopping.is_set() and not self._status(request_id):
            self._stopping.wait(0.05 if self.plan.follow is Follow.WAIT else POLL_S)
            self._cancel_when_due(request_id)

    def stop(self) -> None:
        """End soon, whether or not the request has ended."""
        self._stopping.set()

    def _submit(self) -> str | None:
        body: dict[str, Any] = {
            "prompt": f"chaos {self.plan.number}",
            "model": self.plan.model,
            "parameters": {"numberOfImages": self.plan.images},
            "userId": f"user-{self.plan.number % 7}",
        }
        if self.plan.deadline_ms is not None:
            body["deadlineMs"] = self.plan.deadline_ms
        answers_left = 1 + self.plan.number % 3  # some send again what was answered, to the other process
        while not self._stopping.is_set():
            answer = self._call("POST", "/api/images/generate", body)
            if answer is not None and answer.status == 200:
                request_id: str = answer.json["requestId"]
                there = self._probe.has_job(request_id)
                self._records.acknowledged.append(Acknowledged(time.time(), self.plan.number, request_id, there))
                answers_left -= 1
                if not answers_left:
                    return request_id
                self._web = next(self._webs)
            self._stopping.wait(AGAIN_S)
        return None

    def _status(self, request_id: str) -> bool:
        """Poll once; True if the request is final."""
        waiting = f"?wait={WAIT_S}&since={self._version}" if self.plan.follow is Follow.WAIT else ""
        sent_at = time.time()
        answer = self._call("GET", f"/api/images/{request_id}/status{waiting}")
        if answer is None or answer.status != 200:
            return False
        body = answer.json
        self._version = body["version"]
        seen = StatusSeen(
            sent_at, time.time(), self.plan.number, request_id, body["status"], body["progress"], body["version"]
        )
        self._records.statuses.append(seen)
        return seen.status in FINAL

    def _cancel_when_due(self, request_id: str) -> None:
        if self._cancel_at is not None and time.monotonic() >= self._cancel_at:
            answer = self._call("DELETE", f"/api/images/{request_id}", expected=(200, 409))
            if answer is not None and answer.status in {200, 409}:
                self._cancel_at = None

    def _stream(self, request_id: str) -> None:
        """Follow the request's events to their end, over as many connections as necessary."""
        last = 0
        while not self._stopping.is_set():
            try:
                last, ended = self._read_stream(request_id, last)
            except (OSError, http.client.HTTPException):
                ended = False
                self._web = next(self._webs)
            if ended:
                return
            self._stopping.wait(AGAIN_S)

    def _read_stream(self, request_id: str, after: int) -> tuple[int, bool]:
        """Read one connection; returns its last event and whether the stream is complete. Raises OSError, HTTPException."""
        stream, last = next(_streams), after
        request = urllib.request.Request(
            f"{self._web}/api/images/{request_id}/events", headers={"Last-Event-ID": str(after)}
        )
        try:
            # longer than the interval of keep-alives
            with urllib.request.urlopen(request, timeout=20) as answer:
                for event in _events(answer):
                    there = self._probe.has_event(request_id, event["seq"])
                    seen = EventSeen(self.plan.number, request_id, stream, after, event["seq"], event["type"], there)
                    self._records.events.append(seen)
                    last = event["seq"]
                    if event["status"] in FINAL:
                        self._records.streams.append(StreamEnded(self.plan.number, request_id, last))
                        return last, True
                return last, answer.status == 204
        except urllib.error.HTTPError as error:
            with error:
                raise OSError(error.code) from None
        except (OSError, http.client.HTTPException):
            # keep what was read; the next connection resumes after it
            if last == after:
                raise
            return last, False

    def _call(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, expected: Sequence[int] = (200,)
    ) -> Answer | None:
        """Send one request; None if there was no answer, so its outcome is unknown."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Idempotency-Key": f'"chaos-{self.plan.number}"'} if method == "POST" else {}
        if data is not None:
            headers["Content-Type"] = "application/json"
        request = urllib.request.Request(self._web + path, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
                return Answer(answer.status, {}, answer.read())
        except urllib.error.HTTPError as error:
            with error:
                refused = Answer(error.code, {}, error.read())
            if refused.status not in {*expected, 503}:
                self._records.refusals.append(f"{method} {path}: {refused.status} {refused.content[:200]!r}")
            if refused.status >= 500:
                self._web = next(self._webs)
            return refused
        except (OSError, http.client.HTTPException) as problem:
            self._records.unknown.append(f"{method} {path}: {type(problem).__name__}")
            self._web = next(self._webs)
            self._stopping.wait(AGAIN_S)
            return None


def _events(lines: Any) -> Any:
    """The numbered events of a stream; progress has no number."""
    for line in lines:
        if line.startswith(b"data: ") and line.endswith(b"\n"):
            body = json.loads(line[6:])
            if "seq" in body:
                yield body
