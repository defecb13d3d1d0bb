"""Reading HTTP responses: refusals as errors, and where a redirect leads. Shared by both transports."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any

import httpx2

from imagefleet.errors import BadAnswer, ImagefleetError, error_of
from imagefleet.flows import Head
from imagefleet.models.base import decoded
from imagefleet.models.batches import ItemError

MAX_REDIRECTS = 5


def redirected(response: httpx2.Response, base_url: str, hops: int, *, anywhere: bool) -> httpx2.Request | None:
    """The request that a redirect asks for; None for any other response. Raises BadAnswer for one that is not followed.

    The key is sent to the server's own origin only; unless it may lead `anywhere`, so is every request.
    """
    following = response.next_request
    if not response.is_redirect or following is None:
        return None
    if hops >= MAX_REDIRECTS:
        raise BadAnswer(f"{base_url} redirects too often.")
    is_ours = following.url.origin == httpx2.URL(base_url).origin
    if following.method != response.request.method or not (is_ours or anywhere):
        raise BadAnswer(f"{base_url} redirects to {following.url}: change the address of the server.")
    if not is_ours:
        following.headers.pop("Authorization", None)
    return following


def head_of(response: httpx2.Response) -> Head:
    """Its status and headers."""
    return Head(response.status_code, {name.lower(): value for name, value in response.headers.items()})


def refusal(response: httpx2.Response) -> ImagefleetError:
    """The error that a response which is none of 200 to 299 means; its body has been read."""
    try:
        body = decoded(response.content)
    except BadAnswer:
        body = None
    if not isinstance(body, Mapping):
        return BadAnswer(
            f"HTTP status {response.status_code} came with a body that is not an Imagefleet response.",
            status=response.status_code,
            correlation_id=response.headers.get("X-Correlation-Id"),
            retry_after_s=retry_after_s(response),
        )
    return _refusal(response, body)


def retry_after_s(response: httpx2.Response) -> float | None:
    """The Retry-After in seconds from now; it holds whole seconds or a date (UTC unless it says otherwise)."""
    text = response.headers.get("Retry-After", "")
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        date = parsedate_to_datetime(text)
        return max(0.0, (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return None


def _refusal(response: httpx2.Response, body: Mapping[str, Any]) -> ImagefleetError:
    problem = body["error"] if isinstance(body.get("error"), Mapping) else body  # OpenAI's form, of /v1
    texts = (problem.get(name) for name in ("detail", "error", "message", "title"))
    detail = next((text for text in texts if isinstance(text, str) and text), None)
    code = _text(problem, "code")
    error = error_of(code, response.status_code)(
        detail or f"The server answered with HTTP status {response.status_code}.",
        code=code,
        status=response.status_code,
        correlation_id=_text(problem, "correlationId") or response.headers.get("X-Correlation-Id"),
        retry_after_s=retry_after_s(response),
    )
    items = problem.get("errors")
    if isinstance(items, list):
        error.errors = tuple(ItemError.read(each) for each in items if isinstance(each, Mapping))
    return error


def _text(body: Mapping[str, Any], name: str) -> str | None:
    value = body.get(name)
    return value if isinstance(value, str) else None
