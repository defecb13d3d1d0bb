"""Following a request live, as Server-Sent Events (WHATWG HTML, section 9.2)."""

import json
from collections.abc import Iterator

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


def last_event_id(request: Request, query: int) -> int:
    """The number of the last event that the client has, from the header or else the query; 0 for none."""
    header = request.headers.get("Last-Event-ID", "")
    return int(header) if header.isascii() and header.isdigit() and len(header) < 10 else query


def follow(services: Services, request_id: str, seq: int, owner: str | None, credential: CredentialStatus) -> Response:
    """A stream of the events after number `seq`, for requests of `owner` only if one is given. Raises NotFound.

    It ends when the request is final, and within seconds of the caller's credential being revoked or expiring.
    """
    job, _ = services.lookup.events_after(request_id, seq, owner)
    if job.status in FINAL and seq >= job.last_event:
        return Response(status=204)
    return Response(
        _while_authorized(_stream(services, request_id, seq, credential), request_id),
        content_type="text/event-stream; charset=utf-8",
        headers={"X-Accel-Buffering": "no"},
    )


def _while_authorized(stream: Iterator[str], request_id: str) -> Iterator[str]:
    try:
        yield from stream
    except Unauthorized as refusal:  # the status line is long sent; a client that reconnects gets the 401
        log.info("A stream ended", action="stream.unauthorized", request_id=request_id, detail=refusal.detail)


def _stream(services: Services, request_id: str, seq: int, credential: CredentialStatus) -> Iterator[str]:
    yield f"retry: {RECONNECT_MS}\n\n"
    with services.watching.watch(request_id) as watch, credential.monitored(watch.end):
        while True:
            credential.check()
            job, events = services.lookup.events_after(request_id, seq)
            for event in events:
                yield _stored_event(request_id, event)
                seq = event.seq
            if job.status in FINAL or watch.over:  # `over`: this process ends, and the client continues at another one
                return
            yield from _until_next_event(watch, seq, credential)


def _until_next_event(watch: Watch, seq: int, credential: CredentialStatus) -> Iterator[str]:
    """Progress and keep-alives, without a query; ends when a new event is to be read or the watch is over."""
    while not watch.over:
        change = watch.wait(KEEP_ALIVE_S)
        credential.check()
        if change is None:
            yield ": keep-alive\n\n"
        elif change["lastEvent"] > seq:
            return
        elif change["status"] == Status.PROCESSING:
            yield _sse("progress", StreamedProgress.model_validate(change))


def _stored_event(request_id: str, event: LoggedEvent) -> str:
    body = StreamedEvent(
        type=event.type,
        request_id=request_id,
        seq=event.seq,
        status=Status(event.status),
        timestamp=wire_time(event.at),
        data={to_camel(name): value for name, value in event.data.items()},
    )
    return f"id: {event.seq}\n" + _sse(event.type, body)


def _sse(name: str, body: BaseModel) -> str:
    # JSON in ASCII contains no line break, so one data line is always enough.
    data = json.dumps(body.model_dump(mode="json", exclude_none=True))
    return f"event: {name}\ndata: {data}\n\n"
