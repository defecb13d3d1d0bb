"""Finding what a crash, a lost message or the passing of time left behind."""

from __future__ import annotations

from app.domain.states import Status
from tests.support.crew import Crew

HOUR = 3_600_000


# -- leases


def test_an_offer_that_was_not_received_goes_to_another_extension_without_a_strike(crew: Crew) -> None:
    crew.join("e1")
    job = crew.offered()
    crew.lease_ends(job)
    crew.join("e2")
    crew.sweep()
    job = crew.now(job)
    assert (job.status, job.strikes, job.avoid) == (Status.ACCEPTED, 0, "e1")
    assert crew.facts(job)[-1].data["code"] == "ERR_NO_EXTENSION"
    crew.hand_out()
    assert crew.now(job).holder == "e2"


def test_a_lost_extension_gives_its_job_back(crew: Crew) -> None:
    holder, job = crew.at_work()
    crew.services.extensions.disconnected(holder.connection_id)
    crew.sweep()
    assert crew.now(job).status is Status.PROCESSING
    crew.lease_ends(job)
    crew.sweep()
    assert (crew.now(job).status, crew.now(job).strikes) == (Status.ACCEPTED, 1)
    assert crew.facts(job)[-1].data["reason"] == "The extension was lost and did not come back in time."


def test_an_extension_that_came_back_without_its_job_counts_as_lost(crew: Crew) -> None:
    _, job = crew.at_work()
    crew.set_extension(connection_id="another-socket")
    crew.lease_ends(job)
    crew.sweep()
    assert "lost" in crew.facts(job)[-1].data["reason"]


def test_silence_is_a_strike_and_the_extension_receives_a_cancellation(crew: Crew) -> None:
    _, job = crew.at_work()
    crew.lease_ends(job)
    crew.sweep()
    assert (crew.now(job).status, crew.now(job).strikes) == (Status.ACCEPTED, 1)
    fact = crew.facts(job)[-1].data
    assert (fact["code"], fact["reason"]) == ("ERR_TIMEOUT", "The extension was silent for 300 seconds.")
    assert [word["requestId"] for word in crew.bench.bus.sent("cancel_generation")] == [job.id]
    assert crew.extension().held == 0


def test_an_attempt_that_is_too_long_is_a_strike(crew: Crew) -> None:
    _, job = crew.at_work()
    crew.pass_time(job, lease_until=1, attempt_until=1)
    crew.sweep()
    assert crew.facts(job)[-1].data["reason"] == "The extension did not finish within 900 seconds."


def test_after_the_last_strike_the_request_has_timed_out(crew: Crew) -> None:
    crew = crew.with_settings(max_attempts=3)
    crew.join()
    job = crew.taken()
    for _ in range(3):
        crew.lease_ends(job)
        crew.sweep()
        crew.hand_out()
        crew.services.generation.offer_received(job.id, crew.now(job).lease or "")
    job = crew.now(job)
    assert (job.status, job.error_code) == (Status.FAILED, "ERR_TIMEOUT")
    assert job.error == "The extension was silent for 300 seconds."
    assert crew.types(job).count("ImageGenerationRequeuedEvent") == 2


def test_a_lease_that_lasts_is_left_alone(crew: Crew) -> None:
    _, job = crew.at_work()
    crew.sweep()
    assert crew.now(job) == job


# -- web processes


def test_what_a_lost_web_process_held_is_given_back_after_a_short_absence(crew: Crew) -> None:
    _, job = crew.at_work()
    crew.hub_falls_silent()
    crew.sweep()
    assert not crew.extension().connected
    assert crew.now(job).status is Status.PROCESSING
    assert (crew.now(job).lease_until or 0) <= crew.clock() + crew.services.settings.reconnect_grace_ms
    crew.lease_ends(job)
    crew.sweep()
    assert crew.now(job).status is Status.ACCEPTED


def test_an_extension_of_a_lost_web_process_continues_over_another(crew: Crew) -> None:
    _, job = crew.at_work()
    crew.hub_falls_silent()
    crew.sweep()
    back = crew.join(hub="hub-2", again=2, active=(job.id,))
    crew.deliver(back, job)
    assert crew.now(job).status is Status.DOWNLOADING


def test_a_web_process_that_died_before_it_was_first_seen_is_given_up_too(crew: Crew) -> None:
    crew.join()
    crew.services.extensions.hub_stopped("hub-1")
    crew.set_extension(connected=True, connected_at=crew.clock() - HOUR)
    crew.sweep()
    assert not crew.extension().connected


def test_a_web_process_that_is_about_to_be_seen_is_not_given_up(crew: Crew) -> None:
    crew.join()
    crew.services.extensions.hub_stopped("hub-1")
    crew.set_extension(connected=True)
    crew.sweep()
    assert crew.extension().connected


# -- wakes


def test_what_was_not_woken_is_woken_again(crew: Crew) -> None:
    holder, job = crew.at_work()
    crew.deliver(holder, job)
    crew.set_extension(available=False)
    crew.order()
    crew.bench.tasks.downloads = crew.bench.tasks.assigns = 0
    crew.sweep()
    assert (crew.bench.tasks.downloads, crew.bench.tasks.assigns) == (1, 1)


def test_without_work_no_worker_is_woken(crew: Crew) -> None:
    crew.at_work()
    crew.bench.tasks.assigns = 0
    crew.sweep()
    assert (crew.bench.tasks.downloads, crew.bench.tasks.assigns) == (0, 0)


def test_a_sweep_is_due_once_an_interval(crew: Crew) -> None:
    assert crew.services.housekeeping.is_due()
    crew.sweep()
    assert not crew.services.housekeeping.is_due()
    crew.last_sweep_was(crew.services.settings.sweep_interval_ms)
    assert crew.services.housekeeping.is_due()
