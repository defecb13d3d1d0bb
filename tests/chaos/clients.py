"""Clients with one request each: they try again, and resume interrupted streams."""

from __future__ import annotations

import http.client
import itertools
import json
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from typing import Any

from app.domain.states import FINAL
from tests.chaos.caller import AGAIN_S, Caller
from tests.chaos.database_probe import DatabaseProbe
from tests.chaos.history import Acknowledged, EventSeen, Records, StatusSeen, StreamEnded
from tests.chaos.plan import Follow, PlannedRequest

POLL_S = 0.7
WAIT_S = 5

_streams = itertools.count(1)


class Client(Caller):
    """One client with one request. It ends once its request is final, or when it is stopped."""

    def __init__(
        self,
        plan: PlannedRequest,
        webs: Sequence[str],
        records: Records,
        probe: DatabaseProbe,
        webhook: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(f"client-{plan.number}", plan.number, plan.at_s, webs, records)
        self.plan = plan
        self._probe = probe
        self._webhook = webhook
        self.request_id: str | None = None
        self._version = 0
        self._cancel_at: float | None = None

    @property
    def submitted(self) -> bool:
        """True once the request is accepted."""
        return self.request_id is not None

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

    def _submit(self) -> str | None:
        body: dict[str, Any] = {
            "prompt": f"chaos {self.plan.number}",
            "model": self.plan.model,
            "parameters": {"numberOfImages": self.plan.images},
            "userId": self.plan.user,
        }
        if self._webhook is not None:
            body["webhook"] = self._webhook
        if self.plan.deadline_ms is not None:
            body["deadlineMs"] = self.plan.deadline_ms
        answers_left = 1 + self.plan.number % 3  # some send again what was answered, to the other process
        while not self._stopping.is_set():
            answer = self._call("POST", "/api/images/generate", body, key=f"chaos-{self.plan.number}")
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


def _events(lines: Any) -> Any:
    """The numbered events of a stream; progress has no number."""
    for line in lines:
        if line.startswith(b"data: ") and line.endswith(b"\n"):
            body = json.loads(line[6:])
            if "seq" in body:
                yield body
