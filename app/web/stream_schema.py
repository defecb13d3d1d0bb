"""The events of the streams of requests and batches, for the OpenAPI document. `streams.py` and `batch_feed.py` send them."""

from typing import Any

from pydantic import BaseModel, TypeAdapter
from pydantic.alias_generators import to_camel

from app.domain.batch_events import BATCH_EVENTS
from app.domain.events import Event
from app.domain.states import TABLE
from app.web.batch_schemas import StreamedBatchEvent
from app.web.json_schema import Schema, inlined, tidied
from app.web.schemas import StreamedEvent, StreamedProgress


def event(followed: str) -> Schema:
    """The JSON Schema of one event of the stream of a request or a batch: its fields are texts, and the text of `data` is JSON."""
    kinds = _of_batch() if followed == "batch" else _of_request()
    return {"description": "One event of the stream", "type": "object", "oneOf": kinds}


def _of_request() -> list[Schema]:
    # some steps have the same event
    logged = dict.fromkeys(transition.event for transition in TABLE.values() if transition.event is not None)
    return [
        *(_one(kind.__name__, _logged(kind, StreamedEvent), "id") for kind in logged),
        _one("progress", _schema(StreamedProgress)),
    ]


def _of_batch() -> list[Schema]:
    return [_one(kind.__name__, _logged(kind, StreamedBatchEvent), "id") for kind in BATCH_EVENTS]


def _one(name: str, data: Schema, *more: str) -> Schema:
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


def _schema(model: type[BaseModel]) -> Schema:
    schema: Schema = tidied(inlined(model.model_json_schema(mode="serialization")))
    return schema


def _logged(kind: type[Event], model: type[BaseModel]) -> Schema:
    schema = _schema(model)
    schema["properties"] |= {"type": {"const": kind.__name__}, "data": _payload(kind)}
    return {**schema, "description": (kind.__doc__ or "").strip()}


def _payload(kind: type[Event]) -> Schema:
    """The event's fields; those that are None are left out (see `Event.payload`)."""
    properties: dict[str, Any] = TypeAdapter(kind).json_schema().get("properties", {})
    return {
        "type": "object",
        "properties": {to_camel(name): tidied(field) for name, field in properties.items()},
        "required": [to_camel(name) for name, field in properties.items() if "anyOf" not in field],
    }
