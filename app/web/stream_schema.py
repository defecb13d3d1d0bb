"""The events of a request's stream, for the OpenAPI document. `streams.py` sends them."""

from dataclasses import fields
from typing import Any

from pydantic.alias_generators import to_camel

from app.domain.events import Event
from app.domain.states import TABLE, Status

_ID = {"type": "string", "format": "uuid"}
_TIME = {"type": "string", "format": "date-time"}
_STATUS = {"type": "string", "enum": [status.value for status in Status]}


def event() -> dict[str, Any]:
    """One event of the stream: its fields as the text holds them, `data` as text that is JSON."""
    facts = [arrow.event for arrow in TABLE.values() if arrow.event is not None]
    kinds = [*(_one(kind.__name__, _fact(kind), "id") for kind in facts), _one("progress", _progress())]
    return {"description": "One event of the stream", "type": "object", "oneOf": kinds}


def _one(name: str, data: dict[str, Any], *more: str) -> dict[str, Any]:
    text = {"type": "string", "contentMediaType": "application/json", "contentSchema": data}
    return {
        "title": name,
        "properties": {
            "event": {"const": name},
            "data": text,
            "id": {"type": "string", "pattern": "^[1-9][0-9]*$"} if more else False,
        },
        "required": ["event", "data", *more],
    }


def _fact(kind: type[Event]) -> dict[str, Any]:
    return {
        "type": "object",
        "description": (kind.__doc__ or "").strip(),
        "properties": {
            "type": {"const": kind.__name__},
            "requestId": _ID,
            "seq": {"type": "integer", "minimum": 1, "description": "the event's number, the same as `id`"},
            "status": _STATUS,
            "timestamp": _TIME,
            "data": _payload(kind),
        },
        "required": ["type", "requestId", "seq", "status", "timestamp", "data"],
    }


def _payload(kind: type[Event]) -> dict[str, Any]:
    known = {"int": {"type": "integer"}, "tuple[str, ...]": {"type": "array", "items": {"type": "string"}}}
    return {
        "type": "object",
        "properties": {
            to_camel(each.name): known.get(str(each.type).removesuffix(" | None"), {"type": "string"})
            for each in fields(kind)
        },
        "required": [to_camel(each.name) for each in fields(kind) if "None" not in str(each.type)],
    }


def _progress() -> dict[str, Any]:
    return {
        "type": "object",
        "description": "The extension's progress; it is not stored, so it has no `id`.",
        "properties": {
            "requestId": _ID,
            "status": {"const": Status.PROCESSING.value},
            "progress": {"type": "integer", "minimum": 0, "maximum": 100, "description": "percent"},
            "message": {"type": "string", "description": "the extension's own description"},
            "timestamp": _TIME,
        },
        "required": ["requestId", "status", "progress", "timestamp"],
    }
