"""Does what flows yield, with httpx2 and async: under asyncio, and under Trio where that is installed."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from types import TracebackType
from typing import Any, Self, TypeVar

import anyio
import anyio.to_thread
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
    Received,
    Send,
    Sleep,
    Work,
)
from imagefleet.responses import head_of, redirected, refusal

T = TypeVar("T")
R = TypeVar("R")


class AsyncTransport:
    """Sends requests to the server at `base_url`. It pools connections.

    Raises ValueError if that is not an http or https address, or if `key` cannot be one.
    """

    def __init__(self, base_url: str, key: str | None = None) -> None:
        self._server = Server(base_url, key)
        self._http = httpx2.AsyncClient(limits=LIMITS, mounts=DIRECT, verify=tls_context())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    def url(self, path: str) -> str:
        """The full URL of a path of the API; a full URL is returned unchanged."""
        return self._server.url(path)

    async def run(self, flow: Flow[R]) -> R:
        """Do all that the flow yields; its result."""
        course = Course(flow)
        async with contextlib.aclosing(self._drive(course)) as driven:
            async for _ in driven:
                pass
        return course.result

    def iterate(self, flow: Flow[None]) -> AsyncGenerator[Any]:
        """Do what the flow yields; the items that it emits."""
        return self._drive(Course(flow))

    async def _drive(self, course: Course[Any]) -> AsyncGenerator[Any]:
        body = _Body(self._opened, self._faults)
        try:
            effect = course.advance()
            while effect is not None:
                if isinstance(effect, Emit):
                    yield effect.item
                    effect = course.advance()
                    continue
                try:
                    outcome = await self._perform(effect, body)
                except Exception as error:  # noqa: BLE001 - the flow decides about it
                    effect = course.advance(error=error)
                else:
                    effect = course.advance(outcome)
        finally:
            course.close()
            await body.close()

    async def _perform(self, effect: Effect, body: _Body) -> Any:
        match effect:
            case Send(call):
                return await self._answer(call)
            case Sleep(seconds):
                return await anyio.sleep(seconds)
            case Work(function):
                return await anyio.to_thread.run_sync(function)
            case Open(call, as_file):
                return await body.open(call, as_file=as_file)
            case NextEvent():
                return await body.next_event()
            case NextPiece():
                return await body.next_piece()
            case Close():
                return await body.close()
            case Emit():
                raise AssertionError("an item is not to be performed")

    async def _answer(self, call: Call[T]) -> T:
        async with self._opened(call) as response:
            with self._faults():
                content = await response.aread()
            return call.read(content)

    @contextlib.asynccontextmanager
    async def _opened(self, call: Call[Any], *, as_file: bool = False) -> AsyncIterator[httpx2.Response]:
        """A successful response whose body has not been read."""
        response = await self._respond(call, as_file=as_file)
        try:
            if not response.is_success and response.status_code not in call.answers:
                with self._faults():
                    await response.aread()
                raise refusal(response)
            yield response
        finally:
            await response.aclose()

    async def _respond(self, call: Call[Any], *, as_file: bool) -> httpx2.Response:
        with self._faults():
            request: httpx2.Request | None = self._http.build_request(**self._server.request_of(call, as_file=as_file))
            hops = 0
            while True:
                assert request is not None
                response = await self._http.send(request, stream=True)
                self._server.has_answered = True
                try:
                    request = redirected(response, self._server.base_url, hops, anywhere=as_file)
                except BaseException:
                    await response.aclose()
                    raise
                if request is None:
                    return response
                await response.aclose()
                hops += 1

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
        opened: Callable[..., contextlib.AbstractAsyncContextManager[httpx2.Response]],
        faults: Callable[[], contextlib.AbstractContextManager[None]],
    ) -> None:
        self._opened = opened
        self._faults = faults
        self._stack = contextlib.AsyncExitStack()
        self._events: AsyncIterator[httpx2.ServerSentEvent] | None = None
        self._content: AsyncIterator[bytes] | None = None

    async def open(self, call: Call[None], *, as_file: bool) -> Head:
        """Open the body of the answer to this call."""
        await self.close()
        response = await self._stack.enter_async_context(self._opened(call, as_file=as_file))
        self._events = aiter(httpx2.EventSource(response))
        self._content = response.aiter_bytes()
        return head_of(response)

    async def next_event(self) -> Received | None:
        """The next event; None at the end."""
        with self._faults():
            event = None if self._events is None else await anext(self._events, None)
        return None if event is None else Received(event.event, event.data)

    async def next_piece(self) -> bytes | None:
        """The next bytes; None at the end."""
        with self._faults():
            return None if self._content is None else await anext(self._content, None)

    async def close(self) -> None:
        """Close it, if it is open."""
        await self._stack.aclose()
