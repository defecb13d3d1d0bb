"""Clients that behave sensibly: they send again what was not answered, and try another server.

An unanswered request counts as unknown, never as failed.
"""

from __future__ import annotations

import http.client
import itertools
import json
import threading
import urllib.error
import urllib.request
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from tests.chaos.history import Records
from tests.support.service import Answer

TIMEOUT_S = 8.0
AGAIN_S = 0.4


class Caller(threading.Thread):
    """A client's thread. It begins at `at_s`, and ends by itself or soon after it is stopped."""

    def __init__(self, name: str, number: int, at_s: float, webs: Sequence[str], records: Records) -> None:
        super().__init__(name=name, daemon=True)
        self._at_s = at_s
        self._webs = itertools.cycle([*webs[number % len(webs) :], *webs[: number % len(webs)]])
        self._web = next(self._webs)
        self._records = records
        self._stopping = threading.Event()
        self.finished = False

    @property
    @abstractmethod
    def submitted(self) -> bool:
        """True once what it submits is accepted."""

    @abstractmethod
    def _execute(self) -> None:
        """Do everything that this client does."""

    def run(self) -> None:
        """Begin at the planned time."""
        self._stopping.wait(self._at_s)
        self._execute()
        self.finished = True

    def stop(self) -> None:
        """End soon, whether or not everything is done."""
        self._stopping.set()

    def _call(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        expected: Sequence[int] = (200,),
        key: str | None = None,
    ) -> Answer | None:
        """Send one request; None if there was no answer, so its outcome is unknown."""
        data = None if body is None else json.dumps(body).encode()
        headers = {} if key is None else {"Idempotency-Key": f'"{key}"'}
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
