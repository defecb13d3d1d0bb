"""Errors as results of tools: a sentence with the code and the remedy, for a model to read and act on."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from typing import ParamSpec

from mcp.types import CallToolResult, TextContent

from imagefleet.errors import (
    BadAnswer,
    Forbidden,
    ImagefleetError,
    NotFound,
    ServerFailed,
    TlsFailed,
    Unauthorized,
    Unreachable,
)
from imagefleet.mcp_server.answers import note_of
from imagefleet.models import ImageRequest

P = ParamSpec("P")
_REMEDIES: tuple[tuple[type[ImagefleetError], str], ...] = (
    (TlsFailed, "Correct IMAGEFLEET_URL in the configuration of this MCP server."),
    (Unreachable, "Start the Imagefleet server, or correct IMAGEFLEET_URL in the configuration of this MCP server."),
    (Unauthorized, "Set IMAGEFLEET_API_KEY in the configuration of this MCP server to a key that is valid."),
    (Forbidden, "Set IMAGEFLEET_API_KEY in the configuration of this MCP server to a key that may do this."),
    (BadAnswer, "Check that IMAGEFLEET_URL is the address of an Imagefleet server."),
    (ServerFailed, "Try again; if it stays, the server's log explains it."),
)
_REMEDY_OF_CODE = {
    "ERR_UNKNOWN_STYLE": "list_styles shows the styles.",
    "ERR_INVALID_VARIABLES": "list_styles shows the variables of each style.",
    "ERR_NO_EXTENSION": "queue_status shows which models can be made now: choose one of these, or connect an extension.",
    "ERR_TIMEOUT": "Try again; queue_status shows whether extensions are busy.",
    "ERR_DOWNLOAD_FAILED": "Try again.",
    "ERR_GENERATION_FAILED": "Change what the reason names, or try again.",
}


def reported(tool: Callable[P, Awaitable[CallToolResult]]) -> Callable[P, Awaitable[CallToolResult]]:
    """The tool, with errors of the service as its results."""

    @functools.wraps(tool)
    async def call(*args: P.args, **kwargs: P.kwargs) -> CallToolResult:
        try:
            return await tool(*args, **kwargs)
        except ImagefleetError as error:
            return _failure(error.detail, error.code, _remedy(error), correlationId=error.correlation_id)

    return call


def unsuccessful(found: ImageRequest) -> CallToolResult:
    """The result of a request that failed or was cancelled."""
    text = f"Request {found.request_id} {found.status}: {note_of(found) or 'no reason is known.'}"
    remedy = _REMEDY_OF_CODE.get(found.code or "")
    return _failure(text, found.code, remedy, requestId=found.request_id, status=found.status)


def _failure(detail: str, code: str | None, remedy: str | None, **more: str | None) -> CallToolResult:
    sentence = detail if detail.endswith((".", "!", "?")) else f"{detail}."
    text = " ".join(part for part in (sentence, f"({code})" if code else None, remedy) if part)
    error = {"code": code, "detail": detail, "remedy": remedy, **more}
    known = {name: value for name, value in error.items() if value is not None}
    return CallToolResult(
        content=[TextContent(type="text", text=text)], structured_content={"error": known}, is_error=True
    )


def _remedy(error: ImagefleetError) -> str | None:
    if error.code in _REMEDY_OF_CODE:
        return _REMEDY_OF_CODE[error.code]
    if error.retry_after_s is not None:
        return f"Try again in {error.retry_after_s:.0f} s."
    if isinstance(error, NotFound):
        return "list_images shows the requests that there are."
    return next((remedy for kind, remedy in _REMEDIES if isinstance(error, kind)), None)
