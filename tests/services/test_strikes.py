"""What happens to a request after a failure that its extension reported."""

from __future__ import annotations

import pytest

from app.domain.states import Status
from tests.support.crew import Crew


def test_what_a_site_refuses_to_draw_is_not_tried_again(crew: Crew) -> None:
    holder, job = crew.at_work()
    crew.give_up(holder, job, "Your request was rejected", reason="It violates our content policy")
    job = crew.now(job)
    assert (job.status, job.error_code) == (Status.FAILED, "ERR_GENERATION_FAILED")
    assert (job.error, job.reason) == ("Your request was rejected", "It violates our content policy")
    assert job.finished_at is not None
    assert crew.facts(job)[-1].data == {
        "code": "ERR_GENERATION_FAILED",
        "error": "Your request was rejected",
        "reason": "It violates our content policy",
        "extension_id": "e1",
        "attempt": 1,
    }
    extension = crew.extension()
    assert (extension.held, extension.failures, extension.cooldown_until) == (0, 0, 0)


def test_another_extension_tries_what_one_could_not(crew: Crew) -> None:
    holder, job = crew.at_work()
    crew.progress(holder, job, 70, status="Painting")
    crew.bench.tasks.assigns = 0
    crew.give_up(holder, job, "The tab crashed", reason="out of memory")
    job = crew.now(job)
    assert (job.status, job.strikes, job.avoid) == (Status.ACCEPTED, 1, "e1")
    assert (job.progress, job.progress_note) == (0, None)
    assert (job.holder, job.connection_id, job.lease, job.handed_over) == (None, None, None, False)
    assert crew.bench.tasks.assigns == 1
    assert crew.facts(job)[-1].data == {
        "extension_id": "e1",
        "attempt": 1,
        "code": "ERR_GENERATION_FAILED",
        "reason": "The tab crashed: out of memory",
    }


def test_a_request_keeps_its_position_in_the_queue_when_it_is_given_back(crew: Crew) -> None:
    holder, job = crew.at_work()
    crew.order("bob")
    crew.give_up(holder, job)
    assert crew.now(job).place == job.place


@pytest.mark.parametrize(
    ("error", "code"),
    [("The tab crashed", "ERR_GENERATION_FAILED"), ("Rate limit exceeded", "ERR_RATE_LIMIT")],
)
def test_strikes_are_counted_up_to_the_limit_and_the_last_failure_names_the_code(
    crew: Crew, error: str, code: str
) -> None:
    crew = crew.with_settings(max_attempts=3)
    job = crew.order()
    for n in range(3):
        holder = crew.join(f"e{n}")
        crew.hand_out()
        assert crew.now(job).holder == f"e{n}"
        crew.give_up(holder, job, error)
    job = crew.now(job)
    assert (job.status, job.error_code, job.attempt) == (Status.FAILED, code, 3)
    assert job.error == error
    assert crew.types(job).count("ImageGenerationRequeuedEvent") == 2


def test_an_undelivered_offer_is_no_strike(crew: Crew) -> None:
    crew = crew.with_settings(max_attempts=1)
    crew.bench.bus.deaf.add("hub-1")
    crew.join()
    job = crew.order()
    for attempt in range(1, 6):
        crew.hand_out()
        assert (crew.now(job).status, crew.now(job).attempt) == (Status.ACCEPTED, attempt)
        crew.set_extension(cooldown_until=0)


def test_an_extension_is_paused_until_the_time_that_its_site_reports(crew: Crew) -> None:
    holder, job = crew.at_work()
    now = crew.clock()
    crew.give_up(holder, job, "Too many requests", retry_after_ms=90_000)
    extension = crew.extension()
    assert now + 90_000 <= extension.cooldown_until <= crew.clock() + 90_000
    assert extension.cooldown_reason == "Too many requests"
    assert crew.hand_out() == 0
    assert crew.now(job).status is Status.ACCEPTED
    crew.set_extension(cooldown_until=crew.clock())
    assert crew.hand_out() == 1


def test_pauses_grow_with_failures_in_a_row(crew: Crew) -> None:
    crew = crew.with_settings(max_attempts=10)
    holder, job = crew.at_work()
    for pause_ms in (2_000, 4_000, 8_000):
        before = crew.clock()
        crew.give_up(holder, job)
        assert before + pause_ms <= crew.extension().cooldown_until <= crew.clock() + pause_ms
        crew.set_extension(cooldown_until=0)
        crew.hand_out()


def test_a_shorter_pause_does_not_end_a_longer_one(crew: Crew) -> None:
    holder = crew.join(max_concurrent=2)
    jobs = [crew.taken(), crew.taken()]
    crew.give_up(holder, jobs[0], "Rate limit exceeded", retry_after_ms=500_000)
    rests_until = crew.extension().cooldown_until
    crew.give_up(holder, jobs[1], "Rate limit exceeded", retry_after_ms=1_000)
    assert crew.extension().cooldown_until == rests_until


@pytest.mark.parametrize(
    ("error", "retryable", "status"),
    [
        ("Content policy violation", True, Status.ACCEPTED),
        ("The tab crashed", False, Status.FAILED),
        ("Rate limit exceeded", False, Status.FAILED),
    ],
)
def test_the_extensions_retryable_flag_decides_about_a_retry(
    crew: Crew, error: str, retryable: bool, status: Status
) -> None:
    holder, job = crew.at_work()
    crew.give_up(holder, job, error, retryable=retryable)
    assert crew.now(job).status is status
