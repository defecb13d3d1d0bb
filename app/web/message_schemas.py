"""JSON Schemas of the socket's messages: what `parsing.parse` takes, and what `messages.encode` makes."""

from __future__ import annotations

from dataclasses import MISSING, fields
from typing import Any

from pydantic.alias_generators import to_camel

from app.domain import messages
from app.domain.messages import Message

Schema = dict[str, Any]


def _or_null(schema: Schema) -> Schema:
    """An extension may send null for what it leaves out."""
    return {**schema, "type": [schema["type"], "null"]}


def _words(kept: int, description: str) -> Schema:
    return _or_null({"type": "string", "description": f"{description}; the first {kept:,} characters are kept."})


def _text(most: int, description: str = "") -> Schema:
    return _or_null({"type": "string", "maxLength": most, "description": description})


def _whole(least: int, most: int, **more: Any) -> Schema:
    return {"type": "integer", "minimum": least, "maximum": most, **more}


_CONTROLS = r"\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f"
_ID: Schema = {"type": "string", "pattern": f"^{messages.ID.pattern}$"}
_REQUEST_ID = {**_ID, "description": "As `generate_image` had it."}
_EXTENSION_ID = {**_ID, "description": "The extension's own name, the same at every connection."}
_IDS = _or_null({"type": "array", "items": _ID, "maxItems": messages.ACTIVE_REQUESTS})
_ON_A_REQUEST = {
    "requestId": _REQUEST_ID,
    "correlationId": _or_null({**_ID, "description": "As `generate_image` had it; another one is refused."}),
    "lease": _or_null({**_ID, "description": "As `generate_image` had it; another one is refused."}),
}
_URL = {
    "anyOf": [
        {
            "type": "string",
            "pattern": r"^[Hh][Tt][Tt][Pp][Ss]?://[^\x00-\x20\x7f]*$",
            "maxLength": messages.URL_CHARS,
            "description": "An http(s) address, or the `imageUrl` that an upload answered.",
        },
        {"type": "string", "pattern": r"^data:image/[\x00-\x7f]*$", "description": "The picture itself, in base64."},
    ]
}
_IMAGE_URLS = {"type": "array", "items": _URL, "minItems": 1, "maxItems": messages.IMAGES}

_AUTHENTICATE = {
    "extensionId": _EXTENSION_ID,
    "metadata": {
        "type": "object",
        "properties": {
            "version": _text(64, "The extension's version."),
            "capabilities": {
                "type": "array",
                "description": "The models it makes pictures with. Every model: `*`, or `image-generation` alone.",
                "maxItems": messages.CAPABILITIES,
                "items": {
                    "type": "string",
                    "minLength": 1,
                    "maxLength": messages.CAPABILITY_CHARS,
                    "pattern": f"^[^{_CONTROLS}]*$",
                },
            },
            "maxConcurrent": _whole(
                1, messages.MAX_CONCURRENT, default=1, description="How many requests it takes at once."
            ),
        },
    },
    "token": _text(
        messages.TOKEN_CHARS,
        "What the operator gave this extension. It may also come with the handshake: `Authorization: Bearer`, or "
        "`Sec-WebSocket-Protocol: imagefleet, token.…`. Needed where only those are let in who show one, and for an "
        "extensionId that has one.",
    ),
    "activeRequestIds": {
        **_IDS,
        "description": "The requests that it still works on or holds a result of; others that it held are given back.",
    },
}

_HEARTBEAT = {
    "extensionId": {**_ID, "description": "The one of `authenticate`; another one is refused."},
    "status": {
        "type": "object",
        "properties": {
            "available": {"type": ["boolean", "null"], "default": True, "description": "Whether it takes work."},
            "queueSize": _whole(0, 1_000_000, default=0),
            "activeRequests": _whole(0, 1_000_000, default=0, description="How many requests it works on."),
        },
    },
    "activeRequestIds": {
        **_IDS,
        "description": "Exactly the requests that it works on or holds an unconfirmed result of.",
    },
}

_FAILED = {
    **_ON_A_REQUEST,
    "error": {
        "type": "string",
        "pattern": r"[^\s\x00-\x1f\x7f-\x9f]",
        "description": f"Why, in a sentence; its first {messages.TEXT_CHARS:,} characters are kept.",
    },
    "reason": _words(messages.TEXT_CHARS, "More about it"),
    "code": _text(64, "Why, for programs, such as `ERR_RATE_LIMIT`."),
    "retryable": {"type": ["boolean", "null"], "description": "Whether trying again may help."},
    "retryAfterMs": {
        "type": ["integer", "null"],
        "minimum": 0,
        "maximum": 86_400_000,
        "description": "How long this extension wants to rest, in ms.",
    },
}

_PROGRESS = {
    **_ON_A_REQUEST,
    "progress": {"type": "number", "minimum": 0, "maximum": 100, "description": "Percent; it only rises."},
    "status": _words(messages.NOTE_CHARS, "What it does, in words that the client is shown"),
}

_GENERATED = {
    **_ON_A_REQUEST,
    "imageUrl": {"description": "The picture. Not looked at where `imageUrls` is there."},
    "imageUrls": {"description": "All pictures, where there are several."},
    "metadata": {"type": "object", "description": "What the extension wants to have kept with it."},
}
_GENERATED_EITHER = [
    {"properties": {"imageUrls": _IMAGE_URLS}, "required": ["imageUrls"]},
    {"properties": {"imageUrls": {"type": "null"}, "imageUrl": _URL}, "required": ["imageUrl"]},
]

_UPLOAD: Schema = {
    "type": "object",
    "description": "Where pictures that have no public address go; add `&position=N` for the Nth, from 0.",
    "properties": {
        "url": {"type": "string", "format": "uri"},
        "method": {"const": "PUT"},
        "headers": {"type": "object", "additionalProperties": {"type": "string"}},
        "maxBytes": {"type": "integer", "minimum": 1},
        "expiresAt": {"type": "string", "format": "date-time"},
    },
    "required": ["url", "method", "headers", "maxBytes", "expiresAt"],
}

# What the fields of the server's messages are, where their types alone do not say it.
_TOLD: dict[str, Schema] = {
    "requestId": {"type": "string", "format": "uuid"},
    "timestamp": {"type": "string", "format": "date-time"},
    "lease": {"type": "string", "description": "May be echoed in every report on the request."},
    "upload": _UPLOAD,
    "parameters": {"type": "object", "description": "As the client sent them."},
    "correlationId": {"type": "string", "description": "Echo it in every report on the request."},
    "activeRequestIds": {
        "type": "array",
        "items": {"type": "string"},
        "description": "Those listed in `authenticate` that it still holds; the others it should drop.",
    },
    "imagePath": {"type": "string", "description": "Where the first picture is served."},
    "code": {"type": "string", "description": "Such as `ERR_INVALID_MESSAGE` or `ERR_LEASE_LOST`."},
}


def _message(kind: type[Message], properties: Schema, required: tuple[str, ...], **more: Any) -> Schema:
    typed = {"type": {"const": kind.type}, **properties}
    return {"type": "object", "properties": typed, "required": ["type", *required], **more}


def _told(kind: type[Message]) -> Schema:
    """The schema of a message that is made from the class alone."""
    names = {to_camel(each.name): each for each in fields(kind)}
    properties = {name: _TOLD.get(name, {"type": "string"}) for name in names}
    return _message(kind, properties, tuple(name for name, each in names.items() if each.default is MISSING))


FROM_EXTENSION: dict[type[Message], Schema] = {
    kind: _message(kind, properties, required, **more)
    for kind, properties, required, more in (
        (messages.Authenticate, _AUTHENTICATE, ("extensionId",), {}),
        (messages.ImageGenerated, _GENERATED, ("requestId",), {"anyOf": _GENERATED_EITHER}),
        (messages.ImageGenerationFailed, _FAILED, ("requestId", "error"), {}),
        (messages.ImageGenerationProgress, _PROGRESS, ("requestId", "progress"), {}),
        (messages.Heartbeat, _HEARTBEAT, ("extensionId",), {}),
    )
}

TO_EXTENSION: dict[type[Message], Schema] = {
    kind: _told(kind)
    for kind in (
        messages.AuthenticationRequired,
        messages.AuthenticationSuccess,
        messages.GenerateImage,
        messages.ImageGenerationConfirmed,
        messages.HeartbeatResponse,
        messages.CancelGeneration,
        messages.Error,
    )
}
