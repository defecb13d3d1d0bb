"""Diagnosing failures."""

from __future__ import annotations

from typing import Any

import pytest

from app.domain.failures import Cause, diagnose
from app.domain.messages import ImageGenerationFailed

REFUSED = [
    "This request violates our content policy",
    "content_policy_violation",
    "Policy violation",
    "Blocked by moderation",
    "Your request was rejected by our safety system",
    "NSFW",
    "The site refused the prompt",
    "Unsupported size",
    "Invalid prompt",
    "ERR_INVALID_PROMPT",
    "The picture would be too large",
]
LIMITED = [
    "Rate limit exceeded",
    "ERR_RATE_LIMIT",
    "rate_limited",
    "Too many requests in the last hour",
    "HTTP 429",
    "You have used up your quota",
    "Please slow down",
    "Try again later",
]
BROKEN = [
    "The tab crashed",
    "Please log in",
    "net::ERR_CONNECTION_REFUSED",
    "Connection refused",
    "Timed out",
    "?",
]


def failed(error: str, **more: Any) -> ImageGenerationFailed:
    return ImageGenerationFailed(request_id="r", error=error, **more)


@pytest.mark.parametrize("error", REFUSED)
def test_a_failure_caused_by_the_request_is_not_retried(error: str) -> None:
    diagnosis = diagnose(failed(error))
    assert (diagnosis.cause, diagnosis.code, diagnosis.retry) == (Cause.JOB, "ERR_GENERATION_FAILED", False)


@pytest.mark.parametrize("error", LIMITED)
def test_a_rate_limit_of_the_site_is_retried(error: str) -> None:
    diagnosis = diagnose(failed(error))
    assert (diagnosis.cause, diagnosis.code, diagnosis.retry) == (Cause.SITE, "ERR_RATE_LIMIT", True)


@pytest.mark.parametrize("error", BROKEN)
def test_a_failure_caused_by_the_extension_is_retried(error: str) -> None:
    diagnosis = diagnose(failed(error))
    assert (diagnosis.cause, diagnosis.code, diagnosis.retry) == (Cause.EXTENSION, "ERR_GENERATION_FAILED", True)


@pytest.mark.parametrize("details", [{"reason": "NSFW"}, {"code": "content_policy_violation"}])
def test_reason_and_code_are_considered_too(details: dict[str, str]) -> None:
    assert diagnose(failed("It failed", **details)).cause is Cause.JOB


def test_a_requested_pause_means_a_limit_of_the_site_whatever_the_text() -> None:
    diagnosis = diagnose(failed("It failed", retry_after_ms=0))
    assert (diagnosis.cause, diagnosis.pause_ms) == (Cause.SITE, 0)


def test_retryable_overrides_the_derived_decision() -> None:
    assert diagnose(failed("NSFW", retryable=True)).retry
    assert not diagnose(failed("It failed", retryable=False)).retry
    assert diagnose(failed("It failed", retryable=False)).cause is Cause.JOB


def test_a_code_of_the_contract_is_passed_on_to_the_client() -> None:
    logged_out = failed("Logged out", code="ERR_GENERATION_FAILED", retryable=True, retry_after_ms=9)
    assert diagnose(logged_out).code == "ERR_GENERATION_FAILED"
    assert diagnose(logged_out).cause is Cause.SITE
    assert diagnose(failed("Refused", code="ERR_INVALID_PROMPT")).code == "ERR_INVALID_PROMPT"
    assert diagnose(failed("Too slow", code="ERR_TIMEOUT")).code == "ERR_TIMEOUT"


@pytest.mark.parametrize("code", ["ERR_DOWNLOAD_FAILED", "ERR_UNAUTHORIZED", "content_policy_violation", "<script>"])
def test_any_other_code_is_considered_but_not_passed_on(code: str) -> None:
    assert diagnose(failed("?", code=code)).code == "ERR_GENERATION_FAILED"
