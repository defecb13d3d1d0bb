"""Following a request or a batch live, as Server-Sent Events (WHATWG HTML, section 9.2)."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from flask import Request, Response
from pydantic import BaseModel
from pydantic.alias_generators import to_camel

from app import logs
from app.container import Services
from app.db.events import LoggedEvent
from app.domain.clock import wire_time
from app.domain.errors import Unauthorized
from app.domain.states import FINAL, Status
from app.services.credential_status import CredentialStatus
from app.services.watching import Watch
from app.web.schemas import StreamedEvent, StreamedProgress

KEEP_ALIVE_S = 15.0
RECONNECT_MS = 2_000

log = logs.get(__name__)


@dataclass(frozen=True, slots=True)
class FeedPage:
    """Stored events with their numbers; `more` if others follow already, `ended` if none will ever follow these."""

    events: Sequence[tuple[int, str, BaseModel]]
    ended: bool
    more: bool = False


class Feed(Protocol):
    """What is followed: the request or batch of this id."""

    @property
    def id(self) -> str: ...

    def after(self, seq: int) -> FeedPage:
        """The events after number `seq`. Raises NotFound."""

    def unstored(self, change: Mapping[str, Any]) -> tuple[str, BaseModel] | None:
        """The event that a change is, although it is not stored."""


@dataclass(frozen=True, slots=True)
class RequestFeed:
    """The events of one request; only of `owner`'s, if one is given."""

    services: Services
    id: str
    owner: str | None

    def after(self, seq: int) -> FeedPage:
        """As `Feed.after`."""
        job, events = self.services.lookup.events_after(self.id, seq, self.owner)
        return FeedPage([(event.seq, event.type, _stored(self.id, event)) for event in events], job.status in FINAL)

    def unstored(self, change: Mapping[str, Any]) -> tuple[str, BaseModel] | None:
        """The progress."""
        if change["status"] != Status.PROCESSING:
            return None
        return "progress", StreamedProgress.model_validate(change)


def last_event_id(request: Request, query: int) -> int:
    """The number of the last event that the client has, from the header or else the query; 0 for none."""
    header = request.headers.get("Last-Event-ID", "")
    return int(header) if header.isascii() and header.isdigit() and len(header) < 10 else query


def follow(services: Services, feed: Feed, seq: int, credential: CredentialStatus) -> Response:
    """A stream of the events after number `seq`. Raises NotFound.

    It ends when no more events will come, and within seconds of the caller's credential being revoked or expiring.
    """
    page = feed.after(seq)
    if page.ended and not page.events:
        return Response(status=204)
    return Response(
        _while_authorized(_stream(services, feed, seq, credential), feed.id),
        content_type="text/event-stream; charset=utf-8",
        headers={"X-Accel-Buffering": "no"},
    )


def _while_authorized(stream: Iterator[str], followed_id: str) -> Iterator[str]:
    try:
        yield from stream
    except Unauthorized as refusal:  # the status line is long sent; a client that reconnects gets the 401
        log.info("A stream ended", action="stream.unauthorized", request_id=followed_id, detail=refusal.detail)


def _stream(services: Services, feed: Feed, seq: int, credential: CredentialStatus) -> Iterator[str]:
    yield f"retry: {RECONNECT_MS}\n\n"
    with services.watching.watch(feed.id) as watch, credential.monitored(watch.end):
        while True:
            credential.check()
            page = feed.after(seq)
            for number, name, body in page.events:
                yield f"id: {number}\n" + _sse(name, body)
                seq = number
            if page.ended or watch.over:  # `over`: this process ends, and the client continues at another one
                return
            if not page.more:
                yield from _until_next_event(feed, watch, seq, credential)


def _until_next_event(feed: Feed, watch: Watch, seq: int, credential: CredentialStatus) -> Iterator[str]:
    """What is not stored and keep-alives, without a query; ends when a new event is to be read or the watch is over."""
    while not watch.over:
        change = watch.wait(KEEP_ALIVE_S)
        credential.check()
        if change is None:
            yield ": keep-alive\n\n"
        elif change["lastEvent"] > seq:
            return
        elif (event := feed.unstored(change)) is not None:
            yield _sse(*event)


def _stored(request_id: str, event: LoggedEvent) -> StreamedEvent:
    return StreamedEvent(
        type=event.type,
        request_id=request_id,
        seq=event.seq,
        status=Status(event.status),
        timestamp=wire_time(event.at),
        data={to_camel(name): value for name, value in event.data.items()},
    )


def _sse(name: str, body: BaseModel) -> str:
    # JSON in ASCII contains no line break, so one data line is always enough.
    data = json.dumps(body.model_dump(mode="json", exclude_none=True))
    return f"event: {name}\ndata: {data}\n\n"
