"""Asks the server for each thing once, without retries, and in bounded time."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import cached_property
from types import TracebackType
from typing import Any, Self

import httpx2

from imagefleet.calls.base import Call
from imagefleet.connecting import FAULTS, Server
from imagefleet.doctor.findings import Broken
from imagefleet.errors import BadAnswer, ImagefleetError
from imagefleet.models.base import decoded

ANSWER_S = 12.0  # the server itself gives up what hangs after 5 s


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer. `skew_s` is how many seconds the server's clock is ahead of this machine's, None if it does not tell."""

    status: int
    body: Mapping[str, Any]
    skew_s: float | None

    @property
    def ok(self) -> bool:
        """True if it was not refused."""
        return self.status == 200

    @property
    def detail(self) -> str:
        """Why it was refused, as the server says it."""
        text = self.body.get("detail") or self.body.get("error") or f"HTTP status {self.status}"
        return str(text).rstrip(".")

    @property
    def code(self) -> str:
        """The API's code of the refusal."""
        return str(self.body.get("code") or f"HTTP_{self.status}")


class Probe:
    """The server, and what it has answered so far: each question is asked once."""

    def __init__(self, address: str, key: str | None) -> None:
        self.address = address
        self.has_key = key is not None
        self._server = Server(address, key)
        self._http = httpx2.Client()
        self._replies: dict[str, Reply | ImagefleetError] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._http.close()

    @cached_property
    def health(self) -> Reply:
        """The server's health, which needs no key. Raises ImagefleetError; Broken if what answers is another program."""
        reply = self.get("/health")
        if 300 <= reply.status < 400:
            remedy = "Use the address that it leads to: --server, IMAGEFLEET_URL or `imagefleet login`."
            raise Broken("REDIRECTED", f"{self.address} leads to another address", remedy)
        if reply.status not in {200, 503} or "status" not in reply.body or "database" not in reply.body:
            detail = f"what answers at {self.address} is not an Imagefleet server"
            remedy = "Correct the address: --server, IMAGEFLEET_URL or `imagefleet login`, or the proxy in front of it."
            raise Broken("NO_IMAGEFLEET", detail, remedy)
        return reply

    def get(self, path: str) -> Reply:
        """The answer to GET, also one that refuses. Raises ImagefleetError if there is none."""
        known = self._replies.get(path)
        if known is None:
            try:
                known = self._asked(path)
            except ImagefleetError as error:
                known = error
            self._replies[path] = known
        if isinstance(known, ImagefleetError):
            raise known
        return known

    def _asked(self, path: str) -> Reply:
        call: Call[Any] = Call("GET", path, read_s=ANSWER_S)
        try:
            response = self._http.send(self._http.build_request(**self._server.request_of(call)))
        except FAULTS as error:
            raise self._server.error(error) from error
        self._server.has_answered = True
        return Reply(response.status_code, _object(response.content), _skew_s(response.headers.get("Date")))


def _object(content: bytes) -> Mapping[str, Any]:
    try:
        found = decoded(content)
    except BadAnswer:
        return {}
    return found if isinstance(found, Mapping) else {}


def _skew_s(date: str | None) -> float | None:
    """The header has whole seconds, rounded down."""
    try:
        return parsedate_to_datetime(date or "").timestamp() + 0.5 - time.time()
    except (TypeError, ValueError, OverflowError):
        return None
