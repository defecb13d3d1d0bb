"""The extensions' socket as an AsyncAPI 3.0 document, made from its messages."""

from __future__ import annotations

from dataclasses import fields
from typing import Any
from urllib.parse import urlsplit

from pydantic.alias_generators import to_camel

from app.config import Settings
from app.domain import messages
from app.domain.messages import Message
from app.web import examples
from app.web.message_schemas import FROM_EXTENSION, TO_EXTENSION, Schema
from app.web.openapi import LICENSE, VERSION

CHANNEL = "extension"
HEARTBEAT_S = 20

# What the server closes a socket with. test_asyncapi.py holds it against the hub's own names.
CLOSE_CODES = {
    1001: "The server is shutting down: reconnect after a short random pause.",
    1009: "A message was too big.",
    1011: "The server has an internal error: reconnect after a pause.",
    1012: "The server restarts: reconnect after a short random pause.",
    1013: "Too many invalid tokens came from this address: reconnect in some seconds.",
    4000: "Replaced by a newer socket of the same `extensionId`: do not reconnect.",
    4001: "Not authenticated in time, or the token is missing, invalid or no longer valid.",
    4002: "The extension reads too slowly. If nothing more can be written to a socket, it ends without a code.",
    4003: "Too many messages, or invalid ones for too long.",
    4004: "No message arrived for too long.",
}

# What the server may answer a message with.
ANSWERS: dict[type[Message], tuple[type[Message], ...]] = {
    messages.Authenticate: (messages.AuthenticationSuccess, messages.Error),
    messages.ImageGenerated: (messages.ImageGenerationConfirmed, messages.Error),
    messages.ImageGenerationFailed: (messages.Error,),
    messages.ImageGenerationProgress: (messages.Error,),
    messages.Heartbeat: (messages.HeartbeatResponse, messages.Error),
}


def document(settings: Settings, url: str) -> dict[str, Any]:
    """The whole document for a socket that is reached at `url`."""
    kinds = [*TO_EXTENSION, *FROM_EXTENSION]
    where = urlsplit(url)
    server = {"host": where.netloc, "protocol": where.scheme, "pathname": where.path.removesuffix(settings.ws_path)}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Imagefleet: the socket of extensions",
            "version": VERSION,
            "description": about(settings),
            "license": {"name": LICENSE["name"]},
        },
        "defaultContentType": "application/json",
        "servers": {"this": {name: value for name, value in server.items() if value}},
        "channels": {
            CHANNEL: {
                "address": settings.ws_path,
                "title": "An extension's socket",
                "messages": {kind.type: {"$ref": f"#/components/messages/{kind.type}"} for kind in kinds},
                "bindings": {"ws": {"method": "GET"}},
            }
        },
        "operations": {_operation_name(kind): _operation(kind) for kind in kinds},
        "components": {"messages": {kind.type: _message(kind) for kind in kinds}},
    }


def introduction(settings: Settings) -> tuple[str, ...]:
    """How a conversation goes, in paragraphs."""
    text = (
        f"Messages are JSON objects in text frames of at most {settings.max_message_bytes:,} bytes, nested at most "
        f"{messages.DEPTH} levels deep. Addresses contain no lone surrogates. Unknown fields are ignored, and control "
        "characters in texts become spaces. A message that cannot be used is answered with `error` and changes nothing."
    )
    return (
        "Extensions connect, are asked to authenticate, receive requests and report on them.",
        text,
        f"Send a `heartbeat` every {HEARTBEAT_S} s.",
    )


def about(settings: Settings) -> str:
    """The same with the close codes, in Markdown."""
    codes = "\n".join(f"- {code}: {text}" for code, text in CLOSE_CODES.items())
    return "\n\n".join([*introduction(settings), "The server closes with", codes])


def _message(kind: type[Message]) -> Schema:
    return {
        "name": kind.type,
        "title": kind.type.replace("_", " ").capitalize(),
        "summary": _summary(kind),
        "payload": FROM_EXTENSION.get(kind) or TO_EXTENSION[kind],
        "examples": [{"payload": example(kind)}],
    }


def _summary(kind: type[Message]) -> str:
    """The class's own words, with its fields called as they are on the wire."""
    text = " ".join((kind.__doc__ or "").split())
    for each in fields(kind):
        text = text.replace(f"`{each.name}`", f"`{to_camel(each.name)}`")
    return text


def example(kind: type[Message]) -> dict[str, Any]:
    """One such message as it travels."""
    return examples.HEARD.get(kind) or messages.wire(examples.SAID[kind])


def _operation_name(kind: type[Message]) -> str:
    return ("send" if kind in TO_EXTENSION else "receive") + kind.__name__


def _operation(kind: type[Message]) -> Schema:
    said: Schema = {
        "action": "send" if kind in TO_EXTENSION else "receive",
        "channel": {"$ref": f"#/channels/{CHANNEL}"},
        "messages": [_in_channel(kind)],
    }
    if kind in ANSWERS:
        answers = [_in_channel(answer) for answer in ANSWERS[kind]]
        said["reply"] = {"channel": {"$ref": f"#/channels/{CHANNEL}"}, "messages": answers}
    return said


def _in_channel(kind: type[Message]) -> Schema:
    return {"$ref": f"#/channels/{CHANNEL}/messages/{kind.type}"}
