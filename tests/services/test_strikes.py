"""What happens to a request after a failure that its extension reported."""

from __future__ import annotations

import pytest

from app.domain.errors import NotFound
from app.domain.states import Status
from tests.support.harness import Harness


def test_a_rejected_prompt_is_not_retried(harness: Harness) -> None:
    holder, job = harness.connect_and_start()
    harness.report_failure(holder, job, "Your request was rejected", reason="It violates our content policy")
    job = harness.reload(job)
    assert (job.status, job.error_code) == (Status.FAILED, "ERR_GENERATION_FAILED")
    assert (job.error, job.reason) == ("Your request was rejected", "It violates our content policy")
    assert job.finished_at is not None
    assert harness.events(job)[-1].data == {
        "code": "ERR_GENERATION_FAILED",
        "error": "Your request was rejected",
        "reason": "It violates our content policy",
        "extension_id": "e1",
        "attempt": 1,
    }
    extension = harness.extension_row()
    assert (extension.held, extension.failures, extension.cooldown_until) == (0, 0, 0)


def test_a_failed_request_is_retried_by_another_extension(harness: Harness) -> None:
    holder, job = harness.connect_and_start()
    harness.report_progress(holder, job, 70, status="Painting")
    harness.bench.tasks.assigns = 0
    harness.report_failure(holder, job, "The tab crashed", reason="out of memory")
    job = harness.reload(job)
    assert (job.status, job.strikes, job.avoid) == (Status.ACCEPTED, 1, "e1")
    assert (job.progress, job.progress_note) == (0, None)
    assert (job.holder, job.connection_id, job.lease, job.handed_over) == (None, None, None, False)
    assert harness.bench.tasks.assigns == 1
    assert harness.events(job)[-1].data == {
        "extension_id": "e1",
        "attempt": 1,
        "code": "ERR_GENERATION_FAILED",
        "reason": "The tab crashed: out of memory",
    }


def test_a_requeued_request_keeps_its_position_in_the_queue(harness: Harness) -> None:
    holder, job = harness.connect_and_start()
    harness.submit("bob")
    harness.report_failure(holder, job)
    assert harness.reload(job).virtual_start == job.virtual_start


@pytest.mark.parametrize(
    ("error", "code"),
    [("The tab crashed", "ERR_GENERATION_FAILED"), ("Rate limit exceeded", "ERR_RATE_LIMIT")],
)
def test_strikes_are_counted_up_to_the_limit_and_the_last_failure_determines_the_code(
    harness: Harness, error: str, code: str
) -> None:
    harness = harness.with_settings(max_attempts=3)
    job = harness.submit()
    for n in range(3):
        holder = harness.connect(f"e{n}")
        harness.assign()
        assert harness.reload(job).holder == f"e{n}"
        harness.report_failure(holder, job, error)
    job = harness.reload(job)
    assert (job.status, job.error_code, job.attempt) == (Status.FAILED, code, 3)
    assert job.error == error
    assert harness.event_types(job).count("ImageGenerationRequeuedEvent") == 2


def test_an_undelivered_offer_is_no_strike(harness: Harness) -> None:
    harness = harness.with_settings(max_attempts=1)
    harness.bench.bus.unreachable_hubs.add("hub-1")
    harness.connect()
    job = harness.submit()
    for attempt in range(1, 6):
        harness.assign()
        assert (harness.reload(job).status, harness.reload(job).attempt) == (Status.ACCEPTED, attempt)
        harness.update_extension(cooldown_until=0)


def test_an_extension_is_paused_for_the_time_that_its_site_reports(harness: Harness) -> None:
    holder, job = harness.connect_and_start()
    now = harness.now()
    harness.report_failure(holder, job, "Too many requests", retry_after_ms=90_000)
    extension = harness.extension_row()
    assert now + 90_000 <= extension.cooldown_until <= harness.now() + 90_000
    assert extension.cooldown_reason == "The site that it uses limits its requests (ERR_RATE_LIMIT)."
    assert harness.assign() == 0
    assert harness.reload(job).status is Status.ACCEPTED
    harness.update_extension(cooldown_until=harness.now())
    assert harness.assign() == 1


def test_pauses_grow_with_consecutive_failures(harness: Harness) -> None:
    harness = harness.with_settings(max_attempts=10)
    holder, job = harness.connect_and_start()
    for pause_ms in (2_000, 4_000, 8_000):
        before = harness.now()
        harness.report_failure(holder, job)
        assert before + pause_ms <= harness.extension_row().cooldown_until <= harness.now() + pause_ms
        harness.update_extension(cooldown_until=0)
        harness.assign()


def test_a_shorter_pause_does_not_end_a_longer_one(harness: Harness) -> None:
    holder = harness.connect(max_concurrent=2)
    jobs = [harness.submit_and_start(), harness.submit_and_start()]
    harness.report_failure(holder, jobs[0], "Rate limit exceeded", retry_after_ms=500_000)
    rests_until = harness.extension_row().cooldown_until
    harness.report_failure(holder, jobs[1], "Rate limit exceeded", retry_after_ms=1_000)
    assert harness.extension_row().cooldown_until == rests_until


@pytest.mark.parametrize(
    ("error", "retryable", "status"),
    [
        ("Content policy violation", True, Status.ACCEPTED),
        ("The tab crashed", False, Status.FAILED),
        ("Rate limit exceeded", False, Status.FAILED),
    ],
)
def test_the_extensions_retryable_flag_decides_about_a_retry(
    harness: Harness, error: str, retryable: bool, status: Status
) -> None:
    holder, job = harness.connect_and_start()
    harness.report_failure(holder, job, error, retryable=retryable)
    assert harness.reload(job).status is status


def test_an_operator_ends_the_pause_of_an_extension_once(harness: Harness) -> None:
    harness.connect("e1")
    harness.update_extension(cooldown_until=2**42, cooldown_reason="No recipe", failures=4)
    job = harness.submit()
    assert harness.assign() == 0
    woken = harness.bench.tasks.assigns
    assert harness.services.extensions.resume("e1")
    assert harness.bench.tasks.assigns == woken + 1
    extension = harness.extension_row()
    assert (extension.cooldown_until, extension.cooldown_reason, extension.failures) == (0, None, 0)
    assert harness.assign() == 1
    assert harness.reload(job).status is Status.PROCESSING
    harness.update_extension(failures=4)
    assert not harness.services.extensions.resume("e1")
    assert harness.extension_row().failures == 0
    with pytest.raises(NotFound, match="No extension e2 has ever connected"):
        harness.services.extensions.resume("e2")


def test_what_an_extension_writes_about_a_request_is_shown_to_no_other_user(harness: Harness) -> None:
    secret = "a portrait of Ann"
    holder, job = harness.connect_and_start("e1", user="ann")
    harness.report_progress(holder, job, status=secret)
    harness.report_failure(holder, job, f"Rejected: {secret}", reason=secret, code=secret, retryable=True)
    assert secret in str(harness.events(job))
    waiting = harness.services.lookup.details(harness.submit(user="bob").id)
    assert "after a failure" in str(waiting)
    assert secret not in str([waiting, harness.services.fleet.page(None, None, 20), harness.heartbeat(holder)])
