"""Finding what a crash, a lost message or the passing of time left behind."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from app.domain.states import Status
from tests.support.crew import Crew

HOUR = 3_600_000


def swept(crew: Crew) -> None:
    """The sweep ran a moment ago, as it does every few seconds."""
    crew.house.housekeeping.sweep()


# -- leases


def test_an_offer_that_nobody_took_goes_to_another_and_nobody_is_to_blame(crew: Crew) -> None:
    crew.join("e1")
    job = crew.offered()
    crew.lease_ends(job)
    crew.join("e2")
    swept(crew)
    job = crew.now(job)
    assert (job.status, job.strikes, job.avoid) == (Status.ACCEPTED, 0, "e1")
    assert crew.facts(job)[-1].data["code"] == "ERR_NO_EXTENSION"
    crew.hand_out()
    assert crew.now(job).holder == "e2"


def test_a_lost_extension_gives_its_job_back(crew: Crew) -> None:
    holder, job = crew.at_work()
    crew.house.extensions.disconnected(holder.connection_id)
    swept(crew)
    assert crew.now(job).status is Status.PROCESSING
    crew.lease_ends(job)
    swept(crew)
    assert (crew.now(job).status, crew.now(job).strikes) == (Status.ACCEPTED, 1)
    assert crew.facts(job)[-1].data["reason"] == "The extension was lost and did not come back in time."


def test_an_extension_that_came_back_without_its_job_counts_as_lost(crew: Crew) -> None:
    _, job = crew.at_work()
    crew.set_extension(connection_id="another-socket")
    crew.lease_ends(job)
    swept(crew)
    assert "lost" in crew.facts(job)[-1].data["reason"]


def test_silence_is_a_strike_and_the_extension_is_told_to_stop(crew: Crew) -> None:
    _, job = crew.at_work()
    crew.lease_ends(job)
    swept(crew)
    assert (crew.now(job).status, crew.now(job).strikes) == (Status.ACCEPTED, 1)
    fact = crew.facts(job)[-1].data
    assert (fact["code"], fact["reason"]) == ("ERR_TIMEOUT", "The extension said nothing for 300000 ms.")
    assert [word["requestId"] for word in crew.bench.bus.sent("cancel_generation")] == [job.id]
    assert crew.extension().held == 0


def test_an_attempt_that_is_too_long_is_a_strike(crew: Crew) -> None:
    _, job = crew.at_work()
    crew.pass_time(job, lease_until=1, attempt_until=1)
    swept(crew)
    assert crew.facts(job)[-1].data["reason"] == "The extension did not finish within 900000 ms."


def test_after_the_last_strike_the_request_has_timed_out(crew: Crew) -> None:
    crew = crew.with_settings(max_attempts=3)
    crew.join()
    job = crew.taken()
    for _ in range(3):
        crew.lease_ends(job)
        swept(crew)
        crew.hand_out()
        crew.house.generation.handed_over(job.id, crew.now(job).lease or "")
    job = crew.now(job)
    assert (job.status, job.error_code) == (Status.FAILED, "ERR_TIMEOUT")
    assert job.error == "The extension said nothing for 300000 ms."
    assert crew.types(job).count("ImageGenerationRequeuedEvent") == 2


def test_a_lease_that_lasts_is_left_alone(crew: Crew) -> None:
    _, job = crew.at_work()
    swept(crew)
    assert crew.now(job) == job


# -- web processes


def test_what_a_lost_web_process_held_is_given_back_after_a_short_absence(crew: Crew) -> None:
    _, job = crew.at_work()
    crew.hub_falls_silent()
    swept(crew)
    assert not crew.extension().connected
    assert crew.now(job).status is Status.PROCESSING
    assert (crew.now(job).lease_until or 0) <= crew.clock() + crew.house.settings.reconnect_grace_ms
    crew.lease_ends(job)
    swept(crew)
    assert crew.now(job).status is Status.ACCEPTED


def test_an_extension_of_a_lost_web_process_goes_on_over_another(crew: Crew) -> None:
    _, job = crew.at_work()
    crew.hub_falls_silent()
    swept(crew)
    back = crew.join(hub="hub-2", again=2, active=(job.id,))
    crew.deliver(back, job)
    assert crew.now(job).status is Status.DOWNLOADING


def test_a_web_process_that_died_before_it_was_first_seen_is_given_up_too(crew: Crew) -> None:
    crew.join()
    crew.house.extensions.hub_leaves("hub-1")
    crew.set_extension(connected=True, connected_at=crew.clock() - HOUR)
    swept(crew)
    assert not crew.extension().connected


def test_a_web_process_that_is_about_to_be_seen_is_not_given_up(crew: Crew) -> None:
    crew.join()
    crew.house.extensions.hub_leaves("hub-1")
    crew.set_extension(connected=True)
    swept(crew)
    assert crew.extension().connected


# -- waiting


def test_a_request_does_not_wait_in_the_line_for_ever(crew: Crew) -> None:
    job = crew.order()
    crew.pass_time(job, queue_until=1)
    swept(crew)
    job = crew.now(job)
    assert (job.status, job.error_code) == (Status.FAILED, "ERR_TIMEOUT")
    assert job.error == "The request waited in the line for as long as it may."


def test_a_request_that_is_being_done_is_not_ended_for_its_time_in_the_line(crew: Crew) -> None:
    _, job = crew.at_work()
    crew.pass_time(job, queue_until=1)
    before = crew.now(job)
    swept(crew)
    assert crew.now(job) == before


@pytest.mark.parametrize("stage", ["accepted", "processing", "downloading"])
def test_a_clients_deadline_ends_its_request_wherever_it_stands(crew: Crew, stage: str) -> None:
    job = crew.order(deadline_ms=1_000)
    if stage != "accepted":
        holder = crew.join()
        crew.hand_out()
    if stage == "downloading":
        crew.deliver(holder, job)
    crew.pass_time(job, deadline_at=1)
    swept(crew)
    job = crew.now(job)
    assert (job.status, job.error_code) == (Status.FAILED, "ERR_TIMEOUT")
    assert job.error == "The request was not done by its deadlineMs."
    assert len(crew.bench.bus.sent("cancel_generation")) == int(stage != "accepted")


def test_a_request_that_nobody_can_do_fails_in_the_end(crew: Crew) -> None:
    crew.join("e1", "dall-e-3")
    job = crew.order(model="flux")
    swept(crew)
    assert crew.now(job).status is Status.ACCEPTED
    long_unserved(crew, job)
    swept(crew)
    job = crew.now(job)
    assert (job.status, job.error_code) == (Status.FAILED, "ERR_NO_EXTENSION")
    assert job.error == "No extension that makes pictures with flux was connected for 300000 ms."


@pytest.mark.parametrize(
    "state", [{"available": False}, {"cooldown_until": 2**53, "failures": 9}, {"held": 1}], ids=str
)
def test_while_an_able_extension_is_merely_busy_requests_wait(crew: Crew, state: dict[str, Any]) -> None:
    crew.join()
    crew.set_extension(**state)
    job = crew.order()
    swept(crew)
    long_unserved(crew, job)
    swept(crew)
    assert crew.now(job).status is Status.ACCEPTED


def test_when_the_last_able_extension_leaves_the_wait_begins_anew(crew: Crew) -> None:
    holder = crew.join()
    job = crew.order()
    crew.set_extension(available=False)
    swept(crew)
    crew.pass_time(job, created_at=1)
    crew.house.extensions.disconnected(holder.connection_id)
    swept(crew)
    assert crew.now(job).status is Status.ACCEPTED


def test_a_new_request_for_a_model_long_unserved_has_its_full_wait(crew: Crew) -> None:
    job = crew.order(model="flux")
    swept(crew)
    long_unserved(crew, job)
    fresh = crew.order(model="flux")
    swept(crew)
    assert [crew.now(each).status for each in (job, fresh)] == [Status.FAILED, Status.ACCEPTED]


def long_unserved(crew: Crew, job: object) -> None:
    """No extension has been there for any model for an hour, and the request is as old."""
    statement = "UPDATE models_served SET served_at = served_at - 3600000"
    crew.bench.database.write(lambda tx: tx.connection.exec_driver_sql(statement))
    crew.pass_time(job, created_at=crew.clock() - HOUR)  # type: ignore[arg-type]


# -- wakes


def test_what_was_not_woken_is_woken_again(crew: Crew) -> None:
    holder, job = crew.at_work()
    crew.deliver(holder, job)
    crew.set_extension(available=False)
    crew.order()
    crew.bench.tasks.downloads.clear()
    crew.bench.tasks.assigns = 0
    swept(crew)
    assert (crew.bench.tasks.downloads, crew.bench.tasks.assigns) == ([job.id], 1)


def test_where_there_is_nothing_to_do_nobody_is_woken(crew: Crew) -> None:
    crew.at_work()
    crew.bench.tasks.assigns = 0
    swept(crew)
    assert (crew.bench.tasks.downloads, crew.bench.tasks.assigns) == ([], 0)


# -- pauses


def test_a_long_pause_between_sweeps_is_nobodys_silence(crew: Crew) -> None:
    swept(crew)
    _, job = crew.at_work()
    crew.pass_time(job, lease_until=crew.clock() - HOUR + 60_000, attempt_until=crew.clock() - HOUR + 90_000)
    crew.hub_falls_silent()
    crew.last_sweep_was(ms_ago=HOUR)
    before = crew.clock()
    swept(crew)
    held = crew.now(job)
    assert held.status is Status.PROCESSING
    assert (held.lease_until or 0) == pytest.approx(before + 60_000, abs=5_000)
    assert (held.attempt_until or 0) == pytest.approx(before + 90_000, abs=5_000)
    assert crew.extension().connected


def test_after_a_pause_nothing_lasts_longer_than_if_it_began_now(crew: Crew) -> None:
    crew.join("e1")
    swept(crew)
    job = crew.taken()
    crew.join("e2")
    offer = crew.offered()
    crew.last_sweep_was(ms_ago=HOUR)
    swept(crew)
    now, settings = crew.clock(), crew.house.settings
    assert (crew.now(job).lease_until or 0) <= now + settings.request_timeout_ms
    assert (crew.now(job).attempt_until or 0) <= now + settings.request_max_ms
    assert (crew.now(offer).lease_until or 0) <= now + settings.offer_timeout_ms


def test_a_pause_puts_off_that_a_model_is_unserved(crew: Crew) -> None:
    job = crew.order(model="flux")
    swept(crew)
    long_unserved(crew, job)
    crew.last_sweep_was(ms_ago=HOUR)
    swept(crew)
    assert crew.now(job).status is Status.ACCEPTED


def test_a_pause_does_not_put_off_a_clients_deadline(crew: Crew) -> None:
    swept(crew)
    job = crew.order(deadline_ms=1_000)
    crew.pass_time(job, deadline_at=1)
    crew.last_sweep_was(ms_ago=HOUR)
    swept(crew)
    assert crew.now(job).status is Status.FAILED


@pytest.mark.parametrize(("interval_ms", "ms_ago"), [(2_000, 14_000), (60_000, 60_500)])
def test_sweeps_that_come_as_they_should_put_nothing_off(crew: Crew, interval_ms: int, ms_ago: int) -> None:
    crew = crew.with_settings(sweep_interval_ms=interval_ms)
    swept(crew)
    _, job = crew.at_work()
    crew.last_sweep_was(ms_ago=ms_ago)
    swept(crew)
    assert crew.now(job) == job


# -- many at once


def test_sweeps_at_the_same_time_do_no_harm(crew: Crew) -> None:
    crew = crew.with_settings(max_attempts=2)
    crew.join(max_concurrent=12)
    silent = [crew.taken() for _ in range(6)]
    offers = [crew.offered() for _ in range(6)]
    late = [crew.order(deadline_ms=1_000) for _ in range(6)]
    for job in silent + offers:
        crew.lease_ends(job)
    for job in late:
        crew.pass_time(job, deadline_at=1)
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda _: swept(crew), range(12)))
    assert [(crew.now(job).status, crew.now(job).strikes) for job in silent] == [(Status.ACCEPTED, 1)] * 6
    assert [(crew.now(job).status, crew.now(job).strikes) for job in offers] == [(Status.ACCEPTED, 0)] * 6
    assert {crew.now(job).status for job in late} == {Status.FAILED}
    for job in silent + offers:
        assert crew.types(job).count("ImageGenerationRequeuedEvent") == 1
    assert crew.extension().held == 0


def test_sweeps_that_meet_results_let_one_of_them_count(crew: Crew) -> None:
    holder = crew.join(max_concurrent=8)
    made = [crew.taken() for _ in range(8)]
    for job in made:
        crew.lease_ends(job)
    with ThreadPoolExecutor(8) as pool:
        calls = [pool.submit(crew.house.housekeeping.end_leases)]
        calls += [pool.submit(crew.deliver, holder, job) for job in made]
        errors = [call.exception() for call in calls]
    taken = [job for job, error in zip(made, errors[1:], strict=True) if error is None]
    assert errors[0] is None
    for job in made:
        assert crew.now(job).status is (Status.DOWNLOADING if job in taken else Status.ACCEPTED)
    assert crew.extension().held == 0
