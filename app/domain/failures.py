"""Reading a failure: whose fault it is, whether another try makes sense, and how long to leave the extension alone.

Extensions may say so themselves with `code`, `retryable` and `retryAfterMs`; without these, `error` and `reason` are
read for the words that such failures carry.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from app.domain.errors import GENERATION_FAILED, INVALID_PROMPT, RATE_LIMIT, TIMEOUT
from app.domain.messages import ImageGenerationFailed


class Cause(StrEnum):
    """Who a failure is put down to."""

    JOB = "job"
    EXTENSION = "extension"
    SITE = "site"


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """`code` goes to the client; `retry` says whether another attempt makes sense; `pause_ms` is how long the extension
    asked to be left alone, None where it did not say."""

    cause: Cause
    code: str
    retry: bool
    pause_ms: int | None = None


# Of an extension's own codes those of the contract that say why nothing was made are passed on to the client.
_TOLD = frozenset({RATE_LIMIT, INVALID_PROMPT, GENERATION_FAILED, TIMEOUT})

_REFUSED = re.compile(
    r"content.?policy|policy violation|moderation|safety system|nsfw|not allowed|prohibited|"
    r"(?<!connection.)refused|unsupported|invalid.(prompt|size|parameter)|too large",
    re.IGNORECASE,
)
_LIMITED = re.compile(r"rate.?limit|too many requests|quota|429|slow down|try again later", re.IGNORECASE)


def diagnose(failure: ImageGenerationFailed) -> Diagnosis:
    """What to do about a failure that an extension reported."""
    cause = _cause(failure)
    retry = cause is not Cause.JOB if failure.retryable is None else failure.retryable
    derived = RATE_LIMIT if cause is Cause.SITE else GENERATION_FAILED
    code = failure.code if failure.code in _TOLD else derived
    return Diagnosis(cause, code, retry, failure.retry_after_ms)


def _cause(failure: ImageGenerationFailed) -> Cause:
    words = " ".join(filter(None, (failure.code, failure.error, failure.reason)))
    if failure.retry_after_ms is not None or _LIMITED.search(words):
        return Cause.SITE
    if failure.retryable is False or _REFUSED.search(words):
        return Cause.JOB
    return Cause.EXTENSION
