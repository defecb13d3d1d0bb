"""The HTTP API as an OpenAPI 3.1 document, made from the operations that are served."""

import json
import re
from collections.abc import Iterable, Iterator
from operator import attrgetter
from typing import Any

from pydantic import BaseModel
from pydantic.alias_generators import to_camel
from pydantic.json_schema import models_json_schema

from app.domain.access import Need
from app.domain.webhooks import CHOICES, WebhookEvent
from app.version import VERSION
from app.web import batch_uploads, examples, parameter_schema, responses
from app.web.api import JSON, Operation
from app.web.errors import KNOWN
from app.web.json_schema import Schema, tidied
from app.web.openai.schemas import OpenAIError
from app.web.responses import REF
from app.web.schemas import Problem
from app.web.webhook_payloads import WebhookPayload
from app.web.webhooks import TAG as WEBHOOKS_TAG

# What is the same for every service; its description is Markdown, in a file of its own.
BASE: Schema = json.loads((examples.FOLDER / "openapi.json").read_text("utf-8"))
INFO = {**BASE["info"], "version": VERSION, "description": (examples.FOLDER / "openapi.md").read_text("utf-8")}
BEARER = "bearer"
FORM = "multipart/form-data"
UUIDS = {"request_id", "batch_id", "webhook_id", "input_id"}
NUMBERS = {"attempt", "position"}
PART = re.compile(r"<(?:\w+:)?(\w+)>")


def document(operations: Iterable[Operation], *, required: bool = False) -> Schema:
    """The whole document; `required` is whether every caller must authenticate."""
    served = list(operations)
    paths: dict[str, Schema] = {}
    for operation in served:
        paths.setdefault(path(operation.rule), {})[operation.method.lower()] = _operation(operation, required)
    return {
        **BASE,
        "info": INFO,
        "paths": paths,
        "webhooks": {event.value: {"post": _webhook(event)} for event in (*CHOICES, WebhookEvent.TEST)},
        "components": {
            **BASE["components"],
            "schemas": _schemas(served),
            "responses": {responses.NOT_ALLOWED: responses.problems(405, dict([KNOWN[405]]))},
        },
    }


def path(rule: str) -> str:
    """Flask's `/a/<id:request_id>` as `/a/{requestId}`."""
    return PART.sub(lambda found: "{" + to_camel(found[1]) + "}", rule)


def _operation(operation: Operation, required: bool) -> Schema:
    described: Schema = {
        "operationId": operation.name,
        "tags": [operation.tag],
        "summary": operation.summary,
        "description": operation.description,
        "parameters": list(_parameters(operation)),
        "responses": responses.of(operation),
        "security": _security(operation.need, required),
    }
    if body := _body(operation):
        described["requestBody"] = {"required": not operation.optional, "content": body}
    return described


def _webhook(event: WebhookEvent) -> Schema:
    """What is sent to webhooks, and what they have to answer."""
    signed = {
        "webhook-id": "The id of the event, the same at every attempt.",
        "webhook-timestamp": "Seconds since the epoch at this attempt.",
        "webhook-signature": "`v1,` and a base64 HMAC-SHA256 of id, timestamp and body; several are separated by spaces.",
    }
    schema = {"$ref": REF.format(model=WebhookPayload.__name__)}
    example = {**examples.body(WebhookPayload), "type": event.value}
    return {
        "operationId": to_camel(event.value.replace(".", "_")),
        "tags": [WEBHOOKS_TAG],
        "summary": f"The event {event.value}",
        "parameters": [
            _parameter(name, "header", required=True, schema={"type": "string", "description": text})
            for name, text in signed.items()
        ],
        "requestBody": {"required": True, "content": {JSON: {"schema": schema, "example": example}}},
        "responses": {"2XX": {"description": "It was received. Everything else is tried again later."}},
    }


def _security(need: Need, required: bool) -> list[Schema]:
    """No credential, a required one, or an optional one: AUTH_MODE=open requires none, but checks what is sent."""
    if need is Need.NOTHING:
        return []
    return [{BEARER: []}] if required or need is Need.CREDENTIAL else [{}, {BEARER: []}]


def _body(operation: Operation) -> Schema:
    if operation.body is not None:
        schema = {"$ref": REF.format(model=operation.body.__name__)}
        others = batch_uploads.EXAMPLES if operation.uploads is not None else {}
        return {
            JSON: {"schema": schema, "example": examples.body(operation.body)},
            **{kind: {"schema": {"type": "string"}, "example": text} for kind, text in others.items()},
        }
    bodies: Schema = {}
    if operation.takes is not None:
        bodies[operation.takes] = {"schema": {"type": "string", "format": "binary"}}
    if operation.form is not None:
        bodies[FORM] = {"schema": operation.form}
    return bodies


def _parameters(operation: Operation) -> Iterator[Schema]:
    for name in PART.findall(operation.rule):
        schema: Schema = {"type": "string", **({"format": "uuid"} if name in UUIDS else {})}
        if name in NUMBERS:
            schema = {"type": "integer", "minimum": 0}
        yield _parameter(to_camel(name), "path", required=True, schema=schema)
    if operation.query is not None:
        query = tidied(operation.query.model_json_schema(ref_template=REF))
        for name, schema in query["properties"].items():
            yield _parameter(name, "query", required=name in query.get("required", ()), schema=schema)
    for name, described in operation.headers.items():
        yield _parameter(name, "header", required=False, schema={"type": "string", **described})


def _parameter(name: str, location: str, *, required: bool, schema: Schema) -> Schema:
    parameter: Schema = {"name": name, "in": location, "required": required}
    if "description" in schema:
        parameter["description"] = schema["description"]
    parameter["schema"] = {key: value for key, value in schema.items() if key not in {"description", "examples"}}
    shown = schema.get("examples", [examples.PARAMETERS[name]] if name in examples.PARAMETERS else [])
    if shown and location != "header":
        parameter["example"] = shown[0]
    return parameter


def _schemas(operations: list[Operation]) -> Schema:
    received = {op.body for op in operations if op.body is not None}
    sent: set[type[BaseModel]] = {Problem, OpenAIError, WebhookPayload}
    sent |= {response.model for op in operations for response in op.responses if response.model is not None}
    models: list[tuple[type[BaseModel], Any]] = [
        *((model, "validation") for model in sorted(received, key=attrgetter("__name__"))),
        *((model, "serialization") for model in sorted(sent, key=attrgetter("__name__"))),
    ]
    _, definitions = models_json_schema(models, ref_template=REF)
    schemas: Schema = tidied(definitions["$defs"])
    for model in sent:
        _require_fields_with_defaults(schemas[model.__name__])
    return {**schemas, parameter_schema.VALUE: parameter_schema.VALUE_SCHEMA}


def _require_fields_with_defaults(schema: Schema) -> None:
    """A field with a default is in every response, unless its default is null, since nulls are left out."""
    names = [name for name, field in schema["properties"].items() if field.pop("default", None) is not None]
    schema["required"] = [name for name in schema["properties"] if name in {*names, *schema.get("required", ())}]
