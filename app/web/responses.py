"""The responses of operations for the OpenAPI document: successes, problems, headers."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from http import HTTPStatus
from typing import Any

from app.domain import errors
from app.domain.access import Need
from app.domain.errors import Refusal
from app.web import examples, limits, stream_schema
from app.web.api import JSON, Operation, ResponseSpec
from app.web.errors import KNOWN, PROBLEM
from app.web.openai import errors as openai
from app.web.openai.schemas import OpenAIError
from app.web.request_context import HEADER
from app.web.schemas import Problem

REF = "#/components/schemas/{model}"

# Headers that responses with these statuses have, beside those of every response.
_HEADERS_BY_STATUS = {
    401: ("WWW-Authenticate",),
    405: ("Allow",),
    416: ("Content-Range",),
    429: ("Retry-After", *limits.HEADERS),
    503: ("Retry-After",),
}

NOT_ALLOWED = "MethodNotAllowed"


def of(operation: Operation) -> dict[str, Any]:
    """Every response that the operation may give, by status."""
    good: dict[str, dict[str, Any]] = {}
    for response in operation.responses:
        described = good.setdefault(str(response.status), _success(response))
        if content := _content(response):
            described.setdefault("content", {}).update(content)
    form = openai_errors if operation.openai else problems
    refused = {str(status): form(status, sentences) for status, sentences in sorted(_refusals(operation).items())}
    return good | {status: body for status, body in refused.items() if status not in good}


def openai_errors(status: int, sentences: dict[str, str]) -> dict[str, Any]:
    """The errors with this status in the form of OpenAI's API; `sentences` are by our own code."""
    bodies = {code: openai.body(status, code, text) for code, text in sentences.items()}
    shown = {body.error.code: {"value": body.model_dump()} for body in bodies.values()}
    return {
        "description": "\n\n".join(f"`{body.error.code}`: {body.error.message}" for body in bodies.values()),
        "headers": _headers((openai.REQUEST_ID, openai.SHOULD_RETRY, *_HEADERS_BY_STATUS.get(status, ()))),
        "content": {JSON: {"schema": {"$ref": REF.format(model=OpenAIError.__name__)}, "examples": shown}},
    }


def problems(status: int, sentences: dict[str, str]) -> dict[str, Any]:
    """The problems with this status; `sentences` are by code."""
    title = HTTPStatus(status).phrase
    schema = {
        "allOf": [{"$ref": REF.format(model=Problem.__name__)}],
        "properties": {"code": {"enum": list(sentences)}, "status": {"const": status}},
    }
    shown = {code: {"value": examples.problem(title, status, code, text)} for code, text in sentences.items()}
    return {
        "description": "\n\n".join(f"`{code}`: {text}" for code, text in sentences.items()),
        "headers": _headers(_HEADERS_BY_STATUS.get(status, ())),
        "content": {PROBLEM: {"schema": schema, "examples": shown}},
    }


def _success(response: ResponseSpec) -> dict[str, Any]:
    return {"description": response.description, "headers": _headers(response.headers)}


def _content(response: ResponseSpec) -> dict[str, Any]:
    """The body by its content type; several responses of one status may have different ones."""
    if response.model is not None:
        media: dict[str, Any] = {"schema": {"$ref": REF.format(model=response.model.__name__)}}
        if response.status < 400:
            media["example"] = examples.body(response.model)
        return {response.content_type or JSON: media}
    return {} if response.content_type is None else {response.content_type: _raw(response)}


def _raw(response: ResponseSpec) -> dict[str, Any]:
    if response.schema is not None:
        return {"schema": response.schema, "example": response.example}
    if response.content_type == "text/event-stream":
        return {"schema": stream_schema.event(response.follows), "example": examples.STREAMS[response.follows]}
    return {"schema": {"type": "string", "contentMediaType": response.content_type}}


def _headers(names: Iterable[str]) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in (HEADER, *names)}


def _refusals(operation: Operation) -> dict[int, dict[str, str]]:
    """Sentences by code, by status."""
    sentences: dict[int, dict[str, str]] = defaultdict(dict)
    for refusal in _refused_with(operation):
        sentences[refusal.status].setdefault(refusal.code, (refusal.__doc__ or "").strip())
    for status in (*operation.errors, 500):
        code, text = KNOWN[status]
        sentences[status][code] = text
    return sentences


def _refused_with(operation: Operation) -> Iterator[type[Refusal]]:
    yield from operation.refusals
    yield errors.Unavailable
    if operation.need is not Need.NOTHING:
        yield from (errors.Unauthorized, errors.TooManyFailures)
    if operation.need.scope is not None:
        yield errors.MissingScope
    if operation.query is not None or operation.body is not None:
        yield errors.InvalidRequest
    if operation.body is not None or operation.takes is not None or operation.form is not None:
        yield from (errors.BodyTooSlow, errors.UnsupportedMediaType)
    if operation.body is not None:
        yield from (errors.InvalidJson, errors.InvalidPrompt, errors.PayloadTooLarge)
