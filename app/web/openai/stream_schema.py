"""The events of a stream for OpenAI's clients, for the OpenAPI document. `stream.py` sends them."""

from typing import Any

from pydantic import BaseModel

from app.web.json_schema import Schema, inlined, tidied
from app.web.openai.event_types import GENERATION, Kind
from app.web.openai.schemas import CompletedEvent, OpenAIError, PartialImageEvent

EXAMPLE = """: accepted

: progress 40

event: image_generation.partial_image
data: {"type": "image_generation.partial_image", "b64_json": "UklGRiQA…", "partial_image_index": 0, "created_at": 1705233715, "size": "1024x1024", "quality": "auto", "background": "auto", "output_format": "webp"}

event: image_generation.completed
data: {"type": "image_generation.completed", "b64_json": "iVBORw0KGgo…", "created_at": 1705233720, "size": "1024x1024", "quality": "auto", "background": "auto", "output_format": "png", "usage": {"input_tokens": 0, "input_tokens_details": {"image_tokens": 0, "text_tokens": 0}, "output_tokens": 0, "total_tokens": 0}}

"""


def event(kind: Kind = GENERATION) -> Schema:
    """The JSON Schema of one event: its fields are texts, and the text of `data` is JSON."""
    kinds = [
        _one(f"{kind}.partial_image", PartialImageEvent),
        _one(f"{kind}.completed", CompletedEvent),
        _one("error", OpenAIError),
    ]
    return {"description": "One event of the stream", "type": "object", "oneOf": kinds}


def _one(name: str, data: type[BaseModel]) -> Schema:
    schema: dict[str, Any] = tidied(inlined(data.model_json_schema(mode="serialization")))
    text = {"type": "string", "contentMediaType": "application/json", "contentSchema": schema}
    return {
        "title": name,
        "properties": {"event": {"const": name}, "data": text},
        "required": ["event", "data"],
    }
