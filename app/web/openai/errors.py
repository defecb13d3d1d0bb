"""Refusals and failures in the shape of OpenAI's API: its types and, where it has a word for the same, its codes."""

from flask import Flask, Response, g, request

from app.domain import errors
from app.domain.errors import Refusal
from app.web.openai.schemas import ErrorDetails, OpenAIError

PREFIX = "/v1/"
JSON = "application/json"
REQUEST_ID = "X-Request-Id"
SHOULD_RETRY = "X-Should-Retry"

INVALID, SERVER = "invalid_request_error", "server_error"
_LIMITED, _NO_QUOTA = "requests", "insufficient_quota"
# Codes of ours that OpenAI has a word for. The others stay as they are.
_CODES = {
    "ERR_UNAUTHORIZED": "invalid_api_key",
    "ERR_QUOTA_EXCEEDED": _NO_QUOTA,
    "ERR_TOO_MANY_FAILURES": "rate_limit_exceeded",
    errors.RATE_LIMIT: "rate_limit_exceeded",
}
# The status of a request that was accepted and then failed, by its code.
_FAILED = {
    errors.INVALID_PROMPT: 400,
    errors.RATE_LIMIT: 429,
    errors.GENERATION_FAILED: 500,
    errors.DOWNLOAD_FAILED: 500,
    errors.NO_EXTENSION: 503,
    errors.TIMEOUT: 504,
}


class UnknownModel(Refusal):
    """No connected extension makes this model."""

    code = "model_not_found"
    status = 404
    field = "model"


class StillWorking(Refusal):
    """The pictures are not made yet."""

    code = errors.TIMEOUT
    status = 504


class Cancelled(Refusal):
    """The request was cancelled."""

    code = "request_cancelled"
    status = 409


class Failed(Refusal):
    """The request was accepted and has failed. Its status depends on the code."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail, field="prompt" if code == errors.INVALID_PROMPT else None)
        self.code = code
        self.status = _FAILED.get(code, 500)


def install(app: Flask) -> None:
    """Name the request in every response of `/v1`, and tell OpenAI's clients when not to send it again."""
    app.after_request(_with_headers)


def applies() -> bool:
    """True if the current request is one of OpenAI's clients."""
    return request.path.startswith(PREFIX)


def body(status: int, code: str, detail: str, field: str | None = None) -> OpenAIError:
    """The body of an error response."""
    word = _CODES.get(code, code)
    return OpenAIError(error=ErrorDetails(message=detail, type=_type(status, word), param=field, code=word))


def _type(status: int, code: str) -> str:
    if status == 429:
        return _NO_QUOTA if code == _NO_QUOTA else _LIMITED
    return SERVER if status >= 500 else INVALID


def response(status: int, code: str, detail: str, field: str | None = None) -> Response:
    """An error response. Fields that are null are in it, as clients expect."""
    return Response(body(status, code, detail, field).model_dump_json(), status, content_type=JSON)


def _with_headers(response: Response) -> Response:
    if applies():
        accepted: str | None = g.get("request_id")
        response.headers[REQUEST_ID] = accepted or g.correlation_id
        # what was accepted exists: sending it again could make a second one
        if accepted is not None and response.status_code >= 400:
            response.headers[SHOULD_RETRY] = "true" if g.get("continues_elsewhere") else "false"
    return response
