"""How the library works without input and output: a flow is a generator that yields what is to be done, and gets the outcome.

`transport.py` does it with threads, `async_transport.py` with async; so that retries, resuming and paging are written once.
An error of what was done is raised in the flow, at its `yield`.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from imagefleet.calls.base import Call, Listing
from imagefleet.errors import BadAnswer, ImagefleetError
from imagefleet.retrying import OnRetry, Retries

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Send(Generic[T]):
    """Send the request once, and read its answer."""

    call: Call[T]


@dataclass(frozen=True, slots=True)
class Sleep:
    """Do nothing for some seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Work(Generic[T]):
    """Call something that takes a while, such as a write to a disk."""

    function: Callable[[], T]


@dataclass(frozen=True, slots=True)
class Emit(Generic[T]):
    """Give the caller an item."""

    item: T


@dataclass(frozen=True, slots=True)
class Open:
    """Send the request and open the body of its answer, in place of the one that is open. The outcome is a `Head`.

    `as_file`: a redirect may lead to any server (which is not sent the key), and the body is not to be compressed.
    """

    call: Call[None]
    as_file: bool = False


@dataclass(frozen=True, slots=True)
class Head:
    """The status and the headers of an answer; the names are in lower case."""

    status: int
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class NextEvent:
    """The next Server-Sent Event of the open body, as a `Received`; None at its end."""


@dataclass(frozen=True, slots=True)
class Received:
    """A Server-Sent Event."""

    type: str
    data: str


@dataclass(frozen=True, slots=True)
class NextPiece:
    """The next bytes of the open body as soon as they have arrived; None at its end."""


@dataclass(frozen=True, slots=True)
class Close:
    """Close the open body."""


Effect = Send[Any] | Sleep | Work[Any] | Emit[Any] | Open | NextEvent | NextPiece | Close
Flow = Generator[Effect, Any, R]


class Course(Generic[R]):
    """A flow on its way: `advance` it until there is nothing more to do; then it has a `result`."""

    result: R

    def __init__(self, flow: Flow[R]) -> None:
        self._flow = flow

    def advance(self, outcome: object = None, error: Exception | None = None) -> Effect | None:
        """What is to be done next, after what was done last had this outcome or raised this error."""
        try:
            return self._flow.send(outcome) if error is None else self._flow.throw(error)
        except StopIteration as end:
            self.result = end.value
            return None

    def close(self) -> None:
        """End it where it is."""
        self._flow.close()


@dataclass(frozen=True, slots=True)
class Patience:
    """How long faults are retried, in seconds, and refusals that say when to come back: as `Retries`."""

    faults_s: float
    refused_s: float | None = None
    on_retry: OnRetry | None = None

    def retries(self, *, idempotent: bool = True) -> Retries:
        """The retries of one call."""
        return Retries(self.faults_s, idempotent=idempotent, refused_s=self.refused_s, on_retry=self.on_retry)


def retried(call: Call[T], patience: Patience) -> Flow[T]:
    """The answer to the call, which is sent again after faults if that is safe."""
    retries = patience.retries(idempotent=call.is_idempotent)
    while True:
        try:
            answer: T = yield Send(call)
            return answer
        except ImagefleetError as error:
            pause_s = retries.pause_s(error)
        yield Sleep(pause_s)


def listed(listing: Listing[Any], patience: Patience) -> Flow[None]:
    """Emit every item of a list; each page is fetched when it is needed."""
    cursor: str | None = None
    while True:
        page = yield from retried(listing.page(cursor), patience)
        for item in page.items:
            yield Emit(item)
        if not page.cursor:
            return
        if page.cursor == cursor:
            raise BadAnswer("The server returned the same page cursor twice.")
        cursor = page.cursor


def each(flow: Flow[R], handle: Callable[[Any], Flow[None]]) -> Flow[R]:
    """The flow, with another one in place of each item that it emits."""
    course = Course(flow)
    try:
        effect = course.advance()
        while effect is not None:
            if isinstance(effect, Emit):
                yield from handle(effect.item)
                effect = course.advance()
                continue
            try:
                outcome = yield effect
            except Exception as error:  # noqa: BLE001 - the flow decides about it
                effect = course.advance(error=error)
            else:
                effect = course.advance(outcome)
        return course.result
    finally:
        course.close()
