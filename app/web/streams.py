"""Following one request live, as Server-Sent Events (WHATWG HTML, section 9.2)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from flask import Request, Response
from pydantic.alias_generators import to_camel

from app import logs
from app.container import Services
from app.db.events import Logged
from app.domain.clock import wire_time
from app.domain.errors import Unauthorized
from app.domain.states import FINAL, Status
from app.services.credential_status import CredentialStatus
from app.services.watching import Watch

KEEP_ALIVE_S = 15.0
RECONNECT_MS = 2_000

log = logs.get(__name__)


def last_seen(request: Request, query: int) -> int:
    """The number of the last event that the client has; 0 for none, and for a header that is not ours."""
    header = request.headers.get("Last-Event-ID", "")
    return int(header) if header.isascii() and header.isdigit() and len(header) < 10 else query


def follow(services: Services, request_id: str, seq: int, owner: str | None, credential: CredentialStatus) -> Response:
    """Everything after event `seq`, as it comes; of nobody's request but the `owner`'s, if given. Raises NotFound.

    It ends when the request does, or within seconds of what the caller came in with.
    """
    job, _ = services.lookup.events_after(request_id, seq, owner)
    if job.status in FINAL and seq >= job.last_event:
        return Response(status=204)
    return Response(
        _while_let_in(_stream(services, request_id, seq, credential), request_id),
        content_type="text/event-stream; charset=utf-8",
        headers={"X-Accel-Buffering": "no"},
    )


def _while_let_in(told: Iterator[str], request_id: str) -> Iterator[str]:
    try:
        yield from told
    except Unauthorized as refusal:  # the status was said long ago; who comes again is told
        log.info("A stream ended", action="stream.unauthorized", request_id=request_id, detail=refusal.detail)


def _stream(services: Services, request_id: str, seq: int, credential: CredentialStatus) -> Iterator[str]:
    yield f"retry: {RECONNECT_MS}\n\n"
    with services.watching.watch(request_id) as watch, credential.lasting(watch.end):
        while True:
            credential.check()
            job, facts = services.lookup.events_after(request_id, seq)
            for fact in facts:
                yield _fact(request_id, fact)
                seq = fact.seq
            if job.status in FINAL or watch.over:  # where we end, the client goes on elsewhere after its last event
                return
            yield from _until_next_fact(watch, seq, credential)


def _until_next_fact(watch: Watch, seq: int, credential: CredentialStatus) -> Iterator[str]:
    """Progress and signs of life; it asks nobody and ends when there is a new fact to be read, or nothing more to come."""
    while not watch.over:
        change = watch.wait(KEEP_ALIVE_S)
        credential.check()
        if change is None:
            yield ": keep-alive\n\n"
        elif change["lastEvent"] > seq:
            return
        elif change["status"] == Status.PROCESSING:
            yield _event("progress", _progress(change))


def _progress(change: Mapping[str, Any]) -> dict[str, Any]:
    told = {name: change[name] for name in ("requestId", "status", "progress", "message", "timestamp")}
    return {name: value for name, value in told.items() if value is not None}


def _fact(request_id: str, fact: Logged) -> str:
    body = {
        "type": fact.type,
        "requestId": request_id,
        "seq": fact.seq,
        "status": fact.status,
        "timestamp": wire_time(fact.at),
        "data": {to_camel(name): value for name, value in fact.data.items()},
    }
    return f"id: {fact.seq}\n" + _event(fact.type, body)


def _event(name: str, body: Mapping[str, Any]) -> str:
    # JSON in ASCII holds no line break, so one data line carries it whatever it says
    return f"event: {name}\ndata: {json.dumps(body)}\n\n"
