"""The API page for programs: an OpenAPI 3.1 document made from the operations that are served."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel
from pydantic.alias_generators import to_camel
from pydantic.json_schema import models_json_schema

from app.domain.errors import InvalidRequest, PayloadTooLarge, Refusal, Unavailable, UnsupportedMediaType
from app.web.api import JSON, Answer, Operation
from app.web.errors import PROBLEM
from app.web.guard import HEADER
from app.web.schemas import Problem

VERSION = "0.1.0"
REF = "#/components/schemas/{model}"
TITLE = "Imagefleet"
ABOUT = (
    "Requests for pictures come in over HTTP, are kept in a database, and are done by a fleet of browser extensions. "
    "Every refusal is a problem (RFC 9457) with a `code` for programs and a sentence for people. "
    f"`{HEADER}` of a request is honoured where it has 8 to 128 letters, digits and . _ -, and is sent back."
)


def document(operations: Iterable[Operation]) -> dict[str, Any]:
    """The whole document."""
    served = list(operations)
    paths: dict[str, dict[str, Any]] = {}
    for operation in served:
        paths.setdefault(_path(operation.rule), {})[operation.method.lower()] = _operation(operation)
    return {
        "openapi": "3.1.0",
        "info": {"title": TITLE, "version": VERSION, "description": ABOUT},
        "paths": paths,
        "components": {"schemas": _schemas(served)},
    }


def _operation(operation: Operation) -> dict[str, Any]:
    said: dict[str, Any] = {
        "operationId": operation.name,
        "tags": [operation.tag],
        "summary": operation.summary,
        "description": operation.description,
        "parameters": [*_path_parameters(operation), *_query_parameters(operation), *_headers(operation)],
        "responses": {
            **{str(answer.status): _answer(answer) for answer in operation.answers},
            **_problems(operation),
        },
    }
    if operation.body is not None:
        content = {JSON: {"schema": {"$ref": REF.format(model=operation.body.__name__)}}}
        said["requestBody"] = {"required": True, "content": content}
    elif operation.takes is not None:
        content = {operation.takes: {"schema": {"type": "string", "format": "binary"}}}
        said["requestBody"] = {"required": True, "content": content}
    return said


def _path(rule: str) -> str:
    return re.sub(r"<(\w+)>", lambda found: "{" + to_camel(found[1]) + "}", rule)


def _path_parameters(operation: Operation) -> list[dict[str, Any]]:
    return [
        {"name": to_camel(name), "in": "path", "required": True, "schema": _part(name)}
        for name in re.findall(r"<(\w+)>", operation.rule)
    ]


def _part(name: str) -> dict[str, str]:
    return {"type": "string", "format": "uuid"} if name == "request_id" else {"type": "string"}


def _query_parameters(operation: Operation) -> list[dict[str, Any]]:
    if operation.query is None:
        return []
    schema = operation.query.model_json_schema(ref_template=REF)
    required = schema.get("required", [])
    return [
        {"name": name, "in": "query", "required": name in required, "schema": _without_null(field)}
        for name, field in schema["properties"].items()
    ]


def _without_null(field: dict[str, Any]) -> dict[str, Any]:
    """A query has no null: what may be left out is simply not required."""
    kinds = [kind for kind in field.get("anyOf", []) if kind.get("type") != "null"]
    rest = {name: value for name, value in field.items() if name not in {"anyOf", "title"} and value is not None}
    return {**rest, **kinds[0]} if kinds else rest


def _headers(operation: Operation) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "header", "required": False, "description": text, "schema": {"type": "string"}}
        for name, text in operation.headers.items()
    ]


def _answer(answer: Answer) -> dict[str, Any]:
    said: dict[str, Any] = {"description": answer.description}
    if answer.model is not None:
        said["content"] = {JSON: {"schema": {"$ref": REF.format(model=answer.model.__name__)}}}
    elif answer.content_type is not None:
        said["content"] = {answer.content_type: {"schema": {"type": "string"}}}
    return said


def _problems(operation: Operation) -> dict[str, Any]:
    refusals: list[type[Refusal]] = [*operation.refusals, Unavailable]
    if operation.query is not None or operation.body is not None:
        refusals.append(InvalidRequest)
    if operation.body is not None:
        refusals += [PayloadTooLarge, UnsupportedMediaType]
    said = {str(refusal.status): _problem(refusal) for refusal in sorted(refusals, key=lambda r: r.status)}
    taken = {str(answer.status) for answer in operation.answers}
    mistake = {"description": "The server made a mistake.", "content": _PROBLEM}
    return {**{status: body for status, body in said.items() if status not in taken}, "500": mistake}


_PROBLEM = {PROBLEM: {"schema": {"$ref": REF.format(model=Problem.__name__)}}}


def _problem(refusal: type[Refusal]) -> dict[str, Any]:
    return {"description": (refusal.__doc__ or "").strip(), "content": _PROBLEM}


def _schemas(operations: list[Operation]) -> dict[str, Any]:
    asked = {op.body for op in operations if op.body is not None}
    told = {answer.model for op in operations for answer in op.answers if answer.model is not None} | {Problem}
    models: list[tuple[type[BaseModel], Any]] = [
        *((model, "validation") for model in sorted(asked, key=_name)),
        *((model, "serialization") for model in sorted(told, key=_name)),
    ]
    _, definitions = models_json_schema(models, ref_template=REF)
    schemas: dict[str, Any] = definitions["$defs"]
    return schemas


def _name(model: type[BaseModel]) -> str:
    return model.__name__
