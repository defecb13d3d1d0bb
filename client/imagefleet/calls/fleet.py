"""What the operations on extensions, the queue and the service itself send."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from imagefleet.calls.base import Call, Listing, get, nothing, part, reading, reading_page, send, truth
from imagefleet.errors import BadAnswer
from imagefleet.models import ExtensionState, Health, Model, PausedPart, QueueState, SocketInfo
from imagefleet.models.base import decoded

UNAVAILABLE = 503


def extensions(connected: bool | None, page_size: int) -> Listing[ExtensionState]:
    """The extensions, ordered by ID."""
    query = {"connected": truth(connected), "limit": page_size}
    return Listing("/api/extensions", query, reading_page(ExtensionState, "extensions"))


def resume_extension(extension_id: str) -> Call[None]:
    """End the pause that failures led to."""
    return Call("DELETE", f"/api/extensions/{part(extension_id, 'extension ID')}/pause", read=nothing)


def queue() -> Call[QueueState]:
    """The state of the queue."""
    return get("/api/queue", reading(QueueState))


def pause_queue(
    *,
    model: str | None,
    user_id: str | None,
    extension_id: str | None,
    note: str | None,
    until: datetime | None,
    drain: bool | None,
) -> Call[PausedPart]:
    """Pause the queue or a part of it."""
    body = {
        **_target(model, user_id, extension_id),
        "note": note,
        "until": None if until is None else _wire_time(until),
        "drain": drain,
    }
    return send("POST", "/api/queue/pause", body, reading(PausedPart), idempotent=True)


def resume_queue(*, model: str | None, user_id: str | None, extension_id: str | None) -> Call[None]:
    """Resume the queue or a part of it."""
    return send("POST", "/api/queue/resume", _target(model, user_id, extension_id), nothing, idempotent=True)


def models() -> Call[tuple[Model, ...]]:
    """The models of the connected extensions."""
    return get("/v1/models", _models)


def health() -> Call[Health]:
    """The health; one that is not well answers with 503."""
    return Call("GET", "/health", read=reading(Health), answers=frozenset({UNAVAILABLE}))


def socket_info() -> Call[SocketInfo]:
    """Where extensions connect."""
    return get("/api/websocket/info", reading(SocketInfo))


def _models(content: bytes) -> tuple[Model, ...]:
    body = decoded(content)
    listed = body.get("data") if isinstance(body, Mapping) else None
    if not isinstance(listed, list):
        raise BadAnswer("The server sent something unexpected: data must be a list.")
    return tuple(Model.read(each) for each in listed)


def _target(model: str | None, user_id: str | None, extension_id: str | None) -> dict[str, object]:
    return {"model": model, "userId": user_id, "extensionId": extension_id}


def _wire_time(moment: datetime) -> str:
    """A time in the API's format; without a zone it is the local time."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
