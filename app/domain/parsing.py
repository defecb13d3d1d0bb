"""Reading what extensions send: one message at a time, field by field, refused by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from app.domain import json_text
from app.domain.errors import MalformedMessage
from app.domain.messages import (
    ACTIVE_REQUESTS,
    CAPABILITIES,
    CAPABILITY_CHARS,
    DEPTH,
    ID,
    IMAGES,
    MAX_CONCURRENT,
    NOTE_CHARS,
    TEXT_CHARS,
    TOKEN_CHARS,
    URL_CHARS,
    Authenticate,
    Heartbeat,
    ImageGenerated,
    ImageGenerationFailed,
    ImageGenerationProgress,
    Incoming,
)
from app.domain.orders import FORBIDDEN


def parse(text: str) -> Incoming:
    """One message from an extension, checked field by field. Raises MalformedMessage, which names the field."""
    body = _decode(text)
    kind = body.get("type")
    if not isinstance(kind, str) or kind not in _PARSERS:
        raise MalformedMessage(f"Invalid message format: type must be one of {', '.join(_PARSERS)}.")
    return _PARSERS[kind](_Fields(body, kind))


def _decode(text: str) -> dict[str, Any]:
    try:
        body = json_text.decoded(text)
    except json_text.RepeatedName as repeated:
        raise MalformedMessage(f"Invalid message format: {repeated.name} is there twice.") from None
    except (ValueError, RecursionError):
        raise MalformedMessage("Invalid message format: the message is not JSON.") from None
    if not isinstance(body, dict):
        raise MalformedMessage("Invalid message format: the message must be a JSON object.")
    may_be_deep = text.count("{") + text.count("[") > DEPTH  # most need no look at what they hold
    if may_be_deep and _depth_exceeds(body, DEPTH):
        raise MalformedMessage(f"Invalid message format: nested deeper than {DEPTH} levels.")
    return body


def _depth_exceeds(value: object, left: int) -> bool:
    if left < 0:
        return True
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return any(_depth_exceeds(item, left - 1) for item in items)


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

    def text(self, name: str, most: int) -> str | None:
        value = self.body.get(name)
        if value is None:
            return None
        if not isinstance(value, str) or len(value) > most:
            raise self.refuse(name, f"a string of at most {most} characters")
        return _printable(value)

    def words(self, name: str, most: int = TEXT_CHARS) -> str | None:
        """Text for people, of which the first `most` characters are kept: too many are no reason to lose a report."""
        value = self.body.get(name)
        if value is not None and not isinstance(value, str):
            raise self.refuse(name, "a string")
        return None if value is None else _printable(value).strip()[:most]

    def required_words(self, name: str) -> str:
        value = self.words(name)
        if not value:
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


def _printable(text: str) -> str:
    return FORBIDDEN.sub(" ", text)


def _authenticate(read: _Fields) -> Authenticate:
    metadata = read.part("metadata")
    capabilities = metadata.body.get("capabilities", [])
    if not isinstance(capabilities, list) or len(capabilities) > CAPABILITIES:
        raise metadata.refuse("capabilities", f"a list of at most {CAPABILITIES} names")
    if not all(isinstance(name, str) and 0 < len(name) <= CAPABILITY_CHARS for name in capabilities):
        raise metadata.refuse("capabilities", f"a list of names of at most {CAPABILITY_CHARS} characters")
    if any(FORBIDDEN.search(name) for name in capabilities):
        raise metadata.refuse("capabilities", "free of control characters")
    return Authenticate(
        extension_id=read.id("extensionId"),
        capabilities=tuple(capabilities),
        version=metadata.text("version", 64),
        max_concurrent=metadata.whole("maxConcurrent", 1, 1, MAX_CONCURRENT),
        token=read.text("token", TOKEN_CHARS),
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
        error=read.required_words("error"),
        reason=read.words("reason"),
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
        status=read.words("status", NOTE_CHARS),
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
