"""The socket's documentation for programs: an AsyncAPI 3.0 document generated from the message models."""

from typing import Any, get_args
from urllib.parse import urlsplit

from app.config import Settings
from app.domain import messages
from app.domain.close_codes import CloseCode
from app.domain.messages import Message
from app.web import examples
from app.web.json_schema import Schema, inlined, tidied
from app.web.openapi import INFO

CHANNEL = "extension"
HEARTBEAT_S = 20
INTRODUCTION = (examples.FOLDER / "asyncapi.md").read_text("utf-8").rstrip()

SENT: tuple[type[Message], ...] = get_args(messages.Outgoing)
RECEIVED: tuple[type[Message], ...] = get_args(messages.Incoming)

# What the server may reply to a message with.
REPLIES: dict[type[Message], tuple[type[Message], ...]] = {
    messages.Authenticate: (messages.AuthenticationSuccess, messages.Error),
    messages.ImageGenerated: (messages.ImageGenerationConfirmed, messages.Error),
    messages.ImageGenerationFailed: (messages.Error,),
    messages.ImageGenerationProgress: (messages.Error,),
    messages.Heartbeat: (messages.HeartbeatResponse, messages.Error),
}


def document(settings: Settings, url: str) -> dict[str, Any]:
    """The whole document for a socket that is reached at `url`."""
    kinds = [*SENT, *RECEIVED]
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Imagefleet: the socket of extensions",
            "version": INFO["version"],
            "description": about(settings),
            "license": {"name": INFO["license"]["name"]},
        },
        "defaultContentType": "application/json",
        "servers": {"this": _server(settings, url)},
        "channels": {
            CHANNEL: {
                "address": settings.ws_path,
                "title": "An extension's socket",
                "messages": {kind.type_name(): {"$ref": f"#/components/messages/{kind.type_name()}"} for kind in kinds},
                "bindings": {"ws": {"method": "GET"}},
            }
        },
        "operations": {_operation_name(kind): _operation(kind) for kind in kinds},
        "components": {"messages": {kind.type_name(): _message(kind) for kind in kinds}},
    }


def introduction(settings: Settings) -> list[str]:
    """How a conversation goes, in paragraphs."""
    values = {"max_message_bytes": settings.max_message_bytes, "depth": messages.DEPTH, "heartbeat_s": HEARTBEAT_S}
    return INTRODUCTION.format(**values).split("\n\n")


def about(settings: Settings) -> str:
    """The same with the close codes, in Markdown."""
    codes = "\n".join(f"- {code}: {code.meaning}" for code in CloseCode)
    return "\n\n".join([*introduction(settings), "The server closes with", codes])


def payload(kind: type[Message]) -> Schema:
    """The JSON Schema of a message, with the models inside of it in place."""
    sent = kind in SENT
    schema = kind.model_json_schema(mode="serialization" if sent else "validation")
    tidy: Schema = tidied(inlined(schema), nullable=not sent)
    del tidy["description"]  # it is the message's summary
    tidy["properties"]["type"] = {"const": kind.type_name()}
    tidy["required"] = ["type", *tidy.get("required", ())]
    return tidy


def _server(settings: Settings, url: str) -> dict[str, str]:
    parts = urlsplit(url)
    server = {"host": parts.netloc, "protocol": parts.scheme, "pathname": parts.path.removesuffix(settings.ws_path)}
    return {name: value for name, value in server.items() if value}


def _message(kind: type[Message]) -> Schema:
    return {
        "name": kind.type_name(),
        "title": kind.type_name().replace("_", " ").capitalize(),
        "summary": " ".join((kind.__doc__ or "").split()),
        "payload": payload(kind),
        "examples": [{"payload": examples.message(kind)}],
    }


def _operation_name(kind: type[Message]) -> str:
    return ("send" if kind in SENT else "receive") + kind.__name__


def _operation(kind: type[Message]) -> Schema:
    operation: Schema = {
        "action": "send" if kind in SENT else "receive",
        "channel": {"$ref": f"#/channels/{CHANNEL}"},
        "messages": [_in_channel(kind)],
    }
    if kind in REPLIES:
        replies = [_in_channel(reply) for reply in REPLIES[kind]]
        operation["reply"] = {"channel": {"$ref": f"#/channels/{CHANNEL}"}, "messages": replies}
    return operation


def _in_channel(kind: type[Message]) -> Schema:
    return {"$ref": f"#/channels/{CHANNEL}/messages/{kind.type_name()}"}
