"""The socket protocol: one dataclass a message, and `encode`. `parsing.py` reads what extensions send.

Names on the wire are the contract's (camelCase); the fields here are their snake_case. Fields that the contract does
not know are our documented additions, and every one of them is optional for an extension.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from typing import Any, ClassVar

ID = re.compile(r"[A-Za-z0-9._:@-]{1,128}")
CAPABILITIES = 64
CAPABILITY_CHARS = 128
MAX_CONCURRENT = 64
ACTIVE_REQUESTS = 256
IMAGES = 10
URL_CHARS = 8_192
TOKEN_CHARS = 8_192
TEXT_CHARS = 2_000
NOTE_CHARS = 200
DEPTH = 12


@dataclass(frozen=True, slots=True)
class Message:
    """Anything that travels on the socket; `type` is its name on the wire."""

    type: ClassVar[str] = ""


# -- from the extension ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Authenticate(Message):
    """Who the extension is and what it can do; `active_request_ids` are jobs it still works on or holds a result of."""

    type: ClassVar[str] = "authenticate"
    extension_id: str
    capabilities: tuple[str, ...] = ()
    version: str | None = None
    max_concurrent: int = 1
    token: str | None = None
    active_request_ids: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class ImageGenerated(Message):
    """The pictures are made: http(s) URLs, data: URLs, or what an upload answered."""

    type: ClassVar[str] = "image_generated"
    request_id: str
    image_urls: tuple[str, ...]
    metadata: Mapping[str, Any] = field(default_factory=dict)
    correlation_id: str | None = None
    lease: str | None = None


@dataclass(frozen=True, slots=True)
class ImageGenerationFailed(Message):
    """The extension could not make the pictures. `code`, `retryable` and `retry_after_ms` are optional detail."""

    type: ClassVar[str] = "image_generation_failed"
    request_id: str
    error: str
    reason: str | None = None
    code: str | None = None
    retryable: bool | None = None
    retry_after_ms: int | None = None
    correlation_id: str | None = None
    lease: str | None = None


@dataclass(frozen=True, slots=True)
class ImageGenerationProgress(Message):
    """How far the extension is, 0 to 100 percent."""

    type: ClassVar[str] = "image_generation_progress"
    request_id: str
    progress: int
    status: str | None = None
    correlation_id: str | None = None
    lease: str | None = None


@dataclass(frozen=True, slots=True)
class Heartbeat(Message):
    """The extension lives; whether it takes work; optionally the very requests it works on."""

    type: ClassVar[str] = "heartbeat"
    extension_id: str
    available: bool = True
    queue_size: int = 0
    active_requests: int = 0
    active_request_ids: tuple[str, ...] | None = None


# -- to the extension --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AuthenticationRequired(Message):
    """The first word of the server on a new socket."""

    type: ClassVar[str] = "authentication_required"
    timestamp: str


@dataclass(frozen=True, slots=True)
class AuthenticationSuccess(Message):
    """The extension is in; `active_request_ids` answers the same field of `authenticate`: those it still holds."""

    type: ClassVar[str] = "authentication_success"
    extension_id: str
    timestamp: str
    active_request_ids: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class GenerateImage(Message):
    """Make these pictures. `lease` may be echoed; `upload` takes bytes that have no public URL."""

    type: ClassVar[str] = "generate_image"
    request_id: str
    prompt: str
    model: str
    parameters: Mapping[str, Any]
    user_id: str
    correlation_id: str
    timestamp: str
    lease: str | None = None
    upload: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class ImageGenerationConfirmed(Message):
    """The pictures are stored; the extension may forget them."""

    type: ClassVar[str] = "image_generation_confirmed"
    request_id: str
    image_path: str
    correlation_id: str
    timestamp: str


@dataclass(frozen=True, slots=True)
class HeartbeatResponse(Message):
    """The server heard the heartbeat."""

    type: ClassVar[str] = "heartbeat_response"
    timestamp: str


@dataclass(frozen=True, slots=True)
class CancelGeneration(Message):
    """Stop working on this request: it was called off."""

    type: ClassVar[str] = "cancel_generation"
    request_id: str
    correlation_id: str
    timestamp: str


@dataclass(frozen=True, slots=True)
class Error(Message):
    """What the extension sent could not be used, and why; nothing was changed by it."""

    type: ClassVar[str] = "error"
    error: str
    timestamp: str
    code: str | None = None
    request_id: str | None = None


Incoming = Authenticate | ImageGenerated | ImageGenerationFailed | ImageGenerationProgress | Heartbeat
Report = ImageGenerated | ImageGenerationFailed | ImageGenerationProgress


def encode(message: Message) -> str:
    """The message as JSON text; fields that are None are left out."""
    return json_text(wire(message))


def json_text(body: Mapping[str, Any]) -> str:
    """JSON without needless spaces."""
    return _ENCODER.encode(body)


def wire(message: Message) -> dict[str, Any]:
    """The message as it travels, as plain data; fields that are None are left out."""
    body: dict[str, Any] = {"type": message.type}
    kind: Any = type(message)  # mypy takes the hash of a class for that of its instances
    for name, travels_as in _names(kind):
        value = getattr(message, name)
        if value is not None:
            body[travels_as] = value
    return body


@cache
def _names(kind: type[Any]) -> list[tuple[str, str]]:
    """Of each of its fields: what it is called here, and on the wire."""
    return [(each.name, _camel(each.name)) for each in fields(kind)]


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.title() for part in rest)


_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))  # `json.dumps` would make one for each message
