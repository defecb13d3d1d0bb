"""The page for people, as data: what the two documents say, in the order in which it is read."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from app.domain import errors
from app.web import tables
from app.web.tables import Resolve, Row, Schema

# What a request fails with; the words are the contract's.
FAILURES = {
    errors.NO_EXTENSION: "No Chrome extension available to handle request",
    errors.RATE_LIMIT: "Rate limit exceeded",
    errors.GENERATION_FAILED: "Image generation failed",
    errors.DOWNLOAD_FAILED: "Failed to download generated image",
    errors.TIMEOUT: "Request timed out",
}
BEARER = '-H "Authorization: Bearer $IMAGEFLEET_API_KEY"'
SHOWN_IN_CURL = {"wait"}
CURL_FOR = {"text/event-stream": "--no-buffer", "image/png": "--remote-name"}


@dataclass(frozen=True, slots=True)
class Good:
    """A good answer."""

    status: str
    description: str
    content_type: str | None
    headers: tuple[str, ...]
    rows: tuple[Row, ...]
    example: str | None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One operation."""

    id: str
    method: str
    path: str
    summary: str
    description: str
    parameters: tuple[tuple[str, Row], ...]
    body: tuple[Row, ...]
    takes: str | None
    curl: str
    answers: tuple[Good, ...]
    problems: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True, slots=True)
class Spoken:
    """One message of the socket."""

    name: str
    summary: str
    rows: tuple[Row, ...]
    example: str
    answers: tuple[str, ...]


def endpoints(document: Schema, base: str) -> dict[str, list[Endpoint]]:
    """The operations by tag; `base` is where the examples send their requests."""
    resolve = tables.resolver(document)
    found: dict[str, list[Endpoint]] = {tag["name"]: [] for tag in document["tags"]}
    for path, item in document["paths"].items():
        for method, operation in item.items():
            found[operation["tags"][0]].append(_endpoint(method.upper(), path, operation, resolve, base))
    return found


def problems(document: Schema) -> list[tuple[str, str, str]]:
    """Every code that a refusal may have: code, statuses, sentence."""
    statuses: dict[str, set[str]] = {}
    texts: dict[str, str] = {}
    answers = [operation["responses"] for item in document["paths"].values() for operation in item.values()]
    for each in (*answers, {"405": document["components"]["responses"]["MethodNotAllowed"]}):
        for status, code, text in _problems(each):
            statuses.setdefault(code, set()).add(status)
            texts.setdefault(code, text)
    return [(code, ", ".join(sorted(statuses[code])), texts[code]) for code in sorted(texts)]


def spoken(document: Schema, action: str) -> list[Spoken]:
    """The socket's messages that the server sends, or receives."""
    resolve = tables.resolver(document)
    return [
        _spoken(document["components"]["messages"][_name(operation["messages"][0])], operation, resolve)
        for operation in document["operations"].values()
        if operation["action"] == action
    ]


def _spoken(message: Schema, operation: Schema, resolve: Resolve) -> Spoken:
    return Spoken(
        message["name"],
        message["summary"],
        tuple(row for row in tables.rows(message["payload"], resolve) if row.name != "type"),
        pretty(message["examples"][0]["payload"]),
        tuple(_name(each) for each in operation.get("reply", {}).get("messages", ())),
    )


def _name(reference: Schema) -> str:
    return str(reference["$ref"]).rpartition("/")[2]


def _endpoint(method: str, path: str, operation: Schema, resolve: Resolve, base: str) -> Endpoint:
    takes, media = _only(operation.get("requestBody", {}).get("content", {}))
    return Endpoint(
        id=operation["operationId"],
        method=method,
        path=path,
        summary=operation["summary"],
        description=operation["description"],
        parameters=tuple(_parameter(each, resolve) for each in operation["parameters"]),
        body=tuple(tables.rows(media.get("schema", {}), resolve)),
        takes=takes,
        curl=_curl(method, path, operation, base),
        answers=tuple(_good(operation["responses"], resolve)),
        problems=tuple(_problems(operation["responses"])),
    )


def _parameter(parameter: Schema, resolve: Resolve) -> tuple[str, Row]:
    schema = {**parameter["schema"], "description": parameter.get("description", "")}
    return parameter["in"], tables.row(parameter["name"], schema, resolve, required=parameter["required"])


def _good(responses: Schema, resolve: Resolve) -> Iterator[Good]:
    for status, answer in responses.items():
        content_type, media = _only(answer.get("content", {}))
        if content_type != "application/problem+json":
            example = media.get("example")
            yield Good(
                status,
                answer["description"],
                content_type,
                tuple(answer["headers"]),
                tuple(tables.rows(media.get("schema", {}), resolve)) if content_type == "application/json" else (),
                pretty(example) if example is not None else None,
            )


def _only(content: Schema) -> tuple[str | None, Schema]:
    """The one content type, and what is said of it."""
    for content_type, media in content.items():
        return content_type, media
    return None, {}


def _problems(responses: Schema) -> Iterator[tuple[str, str, str]]:
    for status, answer in responses.items():
        shown = answer.get("content", {}).get("application/problem+json", {}).get("examples", {})
        for code, example in shown.items():
            yield status, code, example["value"]["detail"]


def _curl(method: str, path: str, operation: Schema, base: str) -> str:
    query: dict[str, Any] = {}
    for each in operation["parameters"]:
        if each["in"] == "path":
            path = path.replace("{" + each["name"] + "}", str(each["example"]))
        elif each["in"] == "query" and (each["required"] or each["name"] in SHOWN_IN_CURL):
            query[each["name"]] = each["example"]
    shown = "" if {} in operation["security"] or not operation["security"] else BEARER
    url = base + path + (f"?{urlencode(query)}" if query else "")
    how = {"GET": ""}.get(method, f"-X {method} ")
    return " \\\n  ".join([f"curl {how}{shlex.quote(url)}", *filter(None, [shown]), *_options(operation)])


def _options(operation: Schema) -> Iterator[str]:
    answered, _ = _only(operation["responses"].get("200", {}).get("content", {}))
    if answered in CURL_FOR:
        yield CURL_FOR[answered]
    for content_type, media in operation.get("requestBody", {}).get("content", {}).items():
        yield f"-H 'Content-Type: {content_type}'"
        yield f"-d {shlex.quote(pretty(media['example']))}" if "example" in media else "--data-binary @picture.png"


def pretty(example: Any) -> str:
    """JSON on several lines; text as it is."""
    return example if isinstance(example, str) else json.dumps(example, indent=2, ensure_ascii=False)
