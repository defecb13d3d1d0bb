"""Diagnosing a failure: what caused it, whether a retry makes sense, and how long to pause the extension.

Extensions may state this with `code`, `retryable` and `retryAfterMs`; otherwise it is derived from typical words in
`error` and `reason`.
"""

import re
from dataclasses import dataclass
from enum import StrEnum

from app.domain.errors import GENERATION_FAILED, INVALID_PROMPT, RATE_LIMIT, TIMEOUT
from app.domain.messages import ImageGenerationFailed


class Cause(StrEnum):
    """What caused a failure: the request itself, the extension, or the limits of the site that it uses."""

    JOB = "job"
    EXTENSION = "extension"
    SITE = "site"


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """`code` is reported to the client; `retry` is whether another attempt makes sense.

    `pause_ms` is the pause that the extension requested, None if it requested none.
    """

    cause: Cause
    code: str
    retry: bool
    pause_ms: int | None = None


# The codes of an extension that are passed on to the client: those of the contract that explain a failed generation.
_FORWARDED = frozenset({RATE_LIMIT, INVALID_PROMPT, GENERATION_FAILED, TIMEOUT})

_REFUSED = re.compile(
    r"content.?policy|policy violation|moderation|safety system|nsfw|not allowed|prohibited|"
    r"(?<!connection.)refused|unsupported|invalid.(prompt|size|parameter)|too large",
    re.IGNORECASE,
)
_LIMITED = re.compile(r"rate.?limit|too many requests|quota|429|slow down|try again later", re.IGNORECASE)


def diagnose(failure: ImageGenerationFailed) -> Diagnosis:
    cause = _cause(failure)
    retry = cause is not Cause.JOB if failure.retryable is None else failure.retryable
    derived = RATE_LIMIT if cause is Cause.SITE else GENERATION_FAILED
    code = failure.code if failure.code in _FORWARDED else derived
    return Diagnosis(cause, code, retry, failure.retry_after_ms)


def _cause(failure: ImageGenerationFailed) -> Cause:
    text = " ".join(filter(None, (failure.code, failure.error, failure.reason)))
    if failure.retry_after_ms is not None or _LIMITED.search(text):
        return Cause.SITE
    if failure.retryable is False or _REFUSED.search(text):
        return Cause.JOB
    return Cause.EXTENSION
