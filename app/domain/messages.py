"""The socket protocol: one dataclass a message, `parse` for what extensions send, `encode` for what they are sent.

Names on the wire are the contract's (camelCase); the fields here are their snake_case. Fields that the contract does
not know are our documented additions, and every one of them is optional for an extension.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

from app.domain.errors import MalformedMessage
from app.domain.orders import forbidden_character

ID = re.compile(r"[A-Za-z0-9._:@-]{1,128}")
CAPABILITIES = 64
CAPABILITY_CHARS = 128
MAX_CONCURRENT = 64
ACTIVE_REQUESTS = 256
IMAGES = 10
URL_CHARS = 8_192
TEXT_CHARS = 2_000
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
    return json.dumps(body, ensure_ascii=False, separators=(",", ":"))


def wire(message: Message) -> dict[str, Any]:
    """The message as it travels, as plain data; fields that are None are left out."""
    body: dict[str, Any] = {"type": message.type}
    for each in fields(message):
        value = getattr(message, each.name)
        if value is not None:
            body[_camel(each.name)] = value
    return body


def parse(text: str) -> Incoming:
    """One message from an extension, checked field by field. Raises MalformedMessage, which names the field."""
    body = _decode(text)
    kind = body.get("type")
    if not isinstance(kind, str) or kind not in _PARSERS:
        raise MalformedMessage(f"Invalid message format: type must be one of {', '.join(_PARSERS)}.")
    return _PARSERS[kind](_Fields(body, kind))


def _decode(text: str) -> dict[str, Any]:
    try:
        body = json.loads(text, parse_constant=_no_constant, parse_float=_finite)
    except (ValueError, RecursionError):
        raise MalformedMessage("Invalid message format: the message is not JSON.") from None
    if not isinstance(body, dict):
        raise MalformedMessage("Invalid message format: the message must be a JSON object.")
    if _depth_exceeds(body, DEPTH):
        raise MalformedMessage(f"Invalid message format: nested deeper than {DEPTH} levels.")
    return body


def _no_constant(name: str) -> None:
    raise ValueError(name)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):  # 1e999 is JSON, but what we would pass on is not
        raise ValueError(text)
    return number


def _depth_exceeds(value: object, left: int) -> bool:
    if left < 0:
        return True
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return any(_depth_exceeds(item, left - 1) for item in items)


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.title() for part in rest)


class _Fields:
    """Reads the fields of one message by their wire names; refuses by name."""

    def __init__(self, body: Mapping[str, Any], where: str) -> None:
        self.body = body
        self.where = where

    def refuse(self, name: str, wanted: str) -> MalformedMessage:
        return MalformedMessage(f"Invalid message format: {self.where}.{name} must be {wanted}.")

    def part(self, name: str) -> _Fields:
        value = self.body.get(name, {})
        if not isinstance(value, dict):
            raise self.refuse(name, "an object")
        return _Fields(value, f"{self.where}.{name}")

    def id(self, name: str) -> str:
        value = self.body.get(name)
        if not isinstance(value, str) or not ID.fullmatch(value):
            raise self.refuse(name, "a string of 1 to 128 letters, digits and . _ : @ -")
        return value

    def optional_id(self, name: str) -> str | None:
        return None if self.body.get(name) is None else self.id(name)

    def ids(self, name: str) -> tuple[str, ...] | None:
        value = self.body.get(name)
        if value is None:
            return None
        if not isinstance(value, list) or len(value) > ACTIVE_REQUESTS:
            raise self.refuse(name, f"a list of at most {ACTIVE_REQUESTS} request ids")
        if not all(isinstance(item, str) and ID.fullmatch(item) for item in value):
            raise self.refuse(name, "a list of request ids")
        return tuple(value)

    def text(self, name: str, most: int = TEXT_CHARS) -> str | None:
        value = self.body.get(name)
        if value is None:
            return None
        if not isinstance(value, str) or len(value) > most:
            raise self.refuse(name, f"a string of at most {most} characters")
        return "".join(" " if forbidden_character(char) else char for char in value)

    def required_text(self, name: str) -> str:
        value = self.text(name)
        if not value or not value.strip():
            raise self.refuse(name, "a string that is not empty")
        return value

    def whole(self, name: str, default: int, least: int, most: int) -> int:
        value = self.body.get(name, default)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise self.refuse(name, f"a whole number from {least} to {most}")
        return value

    def flag(self, name: str) -> bool | None:
        value = self.body.get(name)
        if value is not None and not isinstance(value, bool):
            raise self.refuse(name, "true or false")
        return value

    def object(self, name: str) -> Mapping[str, Any]:
        return self.part(name).body


def _authenticate(read: _Fields) -> Authenticate:
    metadata = read.part("metadata")
    capabilities = metadata.body.get("capabilities", [])
    if not isinstance(capabilities, list) or len(capabilities) > CAPABILITIES:
        raise metadata.refuse("capabilities", f"a list of at most {CAPABILITIES} names")
    if not all(isinstance(name, str) and 0 < len(name) <= CAPABILITY_CHARS for name in capabilities):
        raise metadata.refuse("capabilities", f"a list of names of at most {CAPABILITY_CHARS} characters")
    if any(forbidden_character(name) for name in capabilities):
        raise metadata.refuse("capabilities", "free of control characters")
    return Authenticate(
        extension_id=read.id("extensionId"),
        capabilities=tuple(capabilities),
        version=metadata.text("version", 64),
        max_concurrent=metadata.whole("maxConcurrent", 1, 1, MAX_CONCURRENT),
        token=read.text("token", 4_096),
        active_request_ids=read.ids("activeRequestIds"),
    )


def _image_generated(read: _Fields) -> ImageGenerated:
    urls = read.body.get("imageUrls")
    if urls is None:
        urls = [read.body.get("imageUrl")]
        name, wanted = "imageUrl", "a URL"
    else:
        name, wanted = "imageUrls", f"a list of 1 to {IMAGES} URLs"
    if not isinstance(urls, list) or not 1 <= len(urls) <= IMAGES:
        raise read.refuse(name, wanted)
    if not all(isinstance(url, str) and _is_source(url) for url in urls):
        raise read.refuse(name, f"http://, https:// (at most {URL_CHARS} characters) or data:image/…;base64")
    return ImageGenerated(
        request_id=read.id("requestId"),
        image_urls=tuple(urls),
        metadata=read.object("metadata"),
        correlation_id=read.optional_id("correlationId"),
        lease=read.optional_id("lease"),
    )


def _is_source(url: str) -> bool:
    if url.startswith("data:image/"):
        return url.isascii()
    return url.lower().startswith(("http://", "https://")) and len(url) <= URL_CHARS and not _has_blank(url)


def _has_blank(url: str) -> bool:
    return any(char <= " " or char == "\x7f" or 0xD800 <= ord(char) <= 0xDFFF for char in url)


def _image_generation_failed(read: _Fields) -> ImageGenerationFailed:
    return ImageGenerationFailed(
        request_id=read.id("requestId"),
        error=read.required_text("error"),
        reason=read.text("reason"),
        code=read.text("code", 64),
        retryable=read.flag("retryable"),
        retry_after_ms=None if read.body.get("retryAfterMs") is None else read.whole("retryAfterMs", 0, 0, 86_400_000),
        correlation_id=read.optional_id("correlationId"),
        lease=read.optional_id("lease"),
    )


def _image_generation_progress(read: _Fields) -> ImageGenerationProgress:
    if "progress" not in read.body:
        raise read.refuse("progress", "a number from 0 to 100")
    value = read.body["progress"]
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 100:
        raise read.refuse("progress", "a number from 0 to 100")
    return ImageGenerationProgress(
        request_id=read.id("requestId"),
        progress=int(value),
        status=read.text("status", 200),
        correlation_id=read.optional_id("correlationId"),
        lease=read.optional_id("lease"),
    )


def _heartbeat(read: _Fields) -> Heartbeat:
    status = read.part("status")
    available = status.flag("available")
    return Heartbeat(
        extension_id=read.id("extensionId"),
        available=available is not False,
        queue_size=status.whole("queueSize", 0, 0, 1_000_000),
        active_requests=status.whole("activeRequests", 0, 0, 1_000_000),
        active_request_ids=read.ids("activeRequestIds"),
    )


_PARSERS: dict[str, Callable[[_Fields], Incoming]] = {
    Authenticate.type: _authenticate,
    ImageGenerated.type: _image_generated,
    ImageGenerationFailed.type: _image_generation_failed,
    ImageGenerationProgress.type: _image_generation_progress,
    Heartbeat.type: _heartbeat,
}
