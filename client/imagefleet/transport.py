"""Does what flows yield, with httpx2 and threads."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx2

from imagefleet.calls.base import Call
from imagefleet.connecting import DIRECT, FAULTS, LIMITS, Server, tls_context
from imagefleet.flows import (
    Close,
    Course,
    Effect,
    Emit,
    Flow,
    Head,
    NextEvent,
    NextPiece,
    Open,
    Patience,
    Received,
    Send,
    Sleep,
    Work,
    retried,
)
from imagefleet.responses import head_of, redirected, refusal
from imagefleet.retrying import OnRetry

PATIENCE_S = 10.0
T = TypeVar("T")
R = TypeVar("R")


class Transport:
    """Sends requests to the server at `base_url`. It pools connections and is thread-safe.

    Raises ValueError if that is not an http or https address, or if `key` cannot be one.
    """

    def __init__(self, base_url: str, key: str | None = None) -> None:
        self._server = Server(base_url, key)
        self._http = httpx2.Client(limits=LIMITS, mounts=DIRECT, verify=tls_context())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def url(self, path: str) -> str:
        """The full URL of a path of the API; a full URL is returned unchanged."""
        return self._server.url(path)

    def fetch(
        self,
        call: Call[T],
        *,
        patience_s: float = PATIENCE_S,
        refused_s: float | None = None,
        on_retry: OnRetry | None = None,
    ) -> T:
        """The answer to the call. Faults are retried for `patience_s` seconds if that is safe, as `Retries`."""
        return self.run(retried(call, Patience(patience_s, refused_s, on_retry)))

    def run(self, flow: Flow[R]) -> R:
        """Do all that the flow yields; its result."""
        course = Course(flow)
        for _ in self._drive(course):
            pass
        return course.result

    def iterate(self, flow: Flow[None]) -> Iterator[Any]:
        """Do what the flow yields; the items that it emits."""
        return self._drive(Course(flow))

    @contextlib.contextmanager
    def open(self, call: Call[Any]) -> Iterator[Iterator[bytes]]:
        """The body of the answer, each piece as soon as it has arrived."""
        with self._opened(call, as_file=True) as response:
            yield self._pieces(response)

    def _drive(self, course: Course[Any]) -> Iterator[Any]:
        body = _Body(self._opened, self._faults)
        try:
            effect = course.advance()
            while effect is not None:
                if isinstance(effect, Emit):
                    yield effect.item
                    effect = course.advance()
                    continue
                try:
                    outcome = self._perform(effect, body)
                except Exception as error:  # noqa: BLE001 - the flow decides about it
                    effect = course.advance(error=error)
                else:
                    effect = course.advance(outcome)
        finally:
            course.close()
            body.close()

    def _perform(self, effect: Effect, body: _Body) -> Any:
        match effect:
            case Send(call):
                return self._answer(call)
            case Sleep(seconds):
                return time.sleep(seconds)
            case Work(function):
                return function()
            case Open(call, as_file):
                return body.open(call, as_file=as_file)
            case NextEvent():
                return body.next_event()
            case NextPiece():
                return body.next_piece()
            case Close():
                return body.close()
            case Emit():
                raise AssertionError("an item is not to be performed")

    def _answer(self, call: Call[T]) -> T:
        with self._opened(call) as response:
            with self._faults():
                content = response.read()
            return call.read(content)

    @contextlib.contextmanager
    def _opened(self, call: Call[Any], *, as_file: bool = False) -> Iterator[httpx2.Response]:
        """A successful response whose body has not been read."""
        response = self._respond(call, as_file=as_file)
        try:
            if not response.is_success and response.status_code not in call.answers:
                with self._faults():
                    response.read()
                raise refusal(response)
            yield response
        finally:
            response.close()

    def _respond(self, call: Call[Any], *, as_file: bool) -> httpx2.Response:
        with self._faults():
            request: httpx2.Request | None = self._http.build_request(**self._server.request_of(call, as_file=as_file))
            hops = 0
            while True:
                assert request is not None
                response = self._http.send(request, stream=True)
                self._server.has_answered = True
                try:
                    request = redirected(response, self._server.base_url, hops, anywhere=as_file)
                except BaseException:
                    response.close()
                    raise
                if request is None:
                    return response
                response.close()
                hops += 1

    def _pieces(self, response: httpx2.Response) -> Iterator[bytes]:
        with self._faults():
            yield from response.iter_bytes()

    @contextlib.contextmanager
    def _faults(self) -> Iterator[None]:
        """Turn faults of the connection into errors of this library."""
        try:
            yield
        except FAULTS as error:
            raise self._server.error(error) from error


class _Body:
    """The body that a flow has open."""

    def __init__(
        self,
        opened: Callable[..., contextlib.AbstractContextManager[httpx2.Response]],
        faults: Callable[[], contextlib.AbstractContextManager[None]],
    ) -> None:
        self._opened = opened
        self._faults = faults
        self._stack = contextlib.ExitStack()
        self._events: Iterator[httpx2.ServerSentEvent] = iter(())
        self._content: Iterator[bytes] = iter(())

    def open(self, call: Call[None], *, as_file: bool) -> Head:
        """Open the body of the answer to this call."""
        self.close()
        response = self._stack.enter_context(self._opened(call, as_file=as_file))
        self._events = iter(httpx2.EventSource(response))
        self._content = response.iter_bytes()
        return head_of(response)

    def next_event(self) -> Received | None:
        """The next event; None at the end."""
        with self._faults():
            event = next(self._events, None)
        return None if event is None else Received(event.event, event.data)

    def next_piece(self) -> bytes | None:
        """The next bytes; None at the end."""
        with self._faults():
            return next(self._content, None)

    def close(self) -> None:
        """Close it, if it is open."""
        self._stack.close()
