"""Extensions come, live and go."""

from __future__ import annotations

import pytest

from app.db.fleet import Socket
from app.domain.messages import Authenticate
from app.domain.states import Status
from tests.support.crew import Crew


def test_the_metadata_of_an_extension_are_stored(crew: Crew) -> None:
    crew.join("e1", "image-generation", "flux", max_concurrent=3, hub="hub-2")
    extension = crew.extension()
    assert (extension.connected, extension.available, extension.max_concurrent) == (True, True, 3)
    assert (extension.hub_id, extension.connection_id) == ("hub-2", "e1-socket-1")
    assert extension.capabilities == ["image-generation", "flux"]


def test_a_newer_socket_replaces_the_older_one(crew: Crew) -> None:
    crew.join(hub="hub-1")
    crew.join(hub="hub-2", again=2)
    assert crew.bench.bus.to_hubs == [("hub-1", {"do": "replace", "connection": "e1-socket-1"})]
    assert crew.extension().hub_id == "hub-2"
    crew.services.extensions.disconnected("e1-socket-1")
    assert crew.extension().connected


# -- coming back


def test_an_extension_that_lists_nothing_keeps_what_it_has_in_hand(crew: Crew) -> None:
    holder, job = crew.at_work()
    crew.services.extensions.disconnected(holder.connection_id)
    back, welcome = crew.joined("e1", again=2)
    assert welcome.held == (job.id,)
    held = crew.now(job)
    assert (held.status, held.lease, held.connection_id) == (Status.PROCESSING, job.lease, back.connection_id)
    assert (held.lease_until or 0) > crew.clock() + crew.services.settings.reconnect_grace_ms
    assert crew.extension().held == 1
    crew.deliver(back, job)
    assert crew.now(job).status is Status.DOWNLOADING


def test_an_extension_keeps_what_it_lists_and_gives_back_the_rest(crew: Crew) -> None:
    crew.join(max_concurrent=3)
    kept, forgotten = crew.taken(), crew.taken()
    _, welcome = crew.joined("e1", again=2, max_concurrent=3, active=(kept.id, "of-another-time"))
    assert welcome.held == (kept.id,)
    assert crew.now(kept).status is Status.PROCESSING
    back = crew.now(forgotten)
    assert (back.status, back.strikes) == (Status.ACCEPTED, 1)
    assert crew.facts(back)[-1].data["reason"] == "The extension no longer works on the request."
    assert crew.extension().held == 1


@pytest.mark.parametrize("active", [None, ()])
def test_an_offer_that_never_arrived_is_no_strike(crew: Crew, active: tuple[str, ...] | None) -> None:
    crew.join()
    job = crew.offered()
    _, welcome = crew.joined("e1", again=2, active=active)
    assert welcome.held == ()
    assert (crew.now(job).status, crew.now(job).strikes) == (Status.ACCEPTED, 0)
    assert crew.extension().held == 0


def test_an_offer_that_the_extension_lists_is_kept(crew: Crew) -> None:
    crew.join()
    job = crew.offered()
    _, welcome = crew.joined("e1", again=2, active=(job.id,))
    assert welcome.held == (job.id,)
    assert crew.now(job).handed_over


def test_an_extension_cannot_resume_a_job_of_another(crew: Crew) -> None:
    _, job = crew.at_work()
    _, welcome = crew.joined("other", active=(job.id,))
    assert welcome.held == ()
    assert crew.now(job) == job


def test_an_extension_cannot_resume_a_job_that_was_given_back(crew: Crew) -> None:
    _, job = crew.at_work()
    crew.lease_ends(job)
    crew.services.housekeeping.end_leases()
    _, welcome = crew.joined("e1", again=2, active=(job.id,))
    assert welcome.held == ()
    assert crew.now(job).status is Status.ACCEPTED


def test_coming_back_does_not_make_an_attempt_longer(crew: Crew) -> None:
    _, job = crew.at_work()
    ends = crew.clock() + 5_000
    crew.pass_time(job, attempt_until=ends)
    crew.join(again=2)
    assert crew.now(job).lease_until == ends


# -- going


def test_what_a_broken_socket_held_is_kept_for_a_short_absence(crew: Crew) -> None:
    holder, job = crew.at_work()
    before = crew.clock()
    crew.services.extensions.disconnected(holder.connection_id)
    held, grace_ms = crew.now(job), crew.services.settings.reconnect_grace_ms
    assert held.status is Status.PROCESSING
    assert before + grace_ms <= (held.lease_until or 0) <= crew.clock() + grace_ms
    assert not crew.extension().connected


def test_a_broken_socket_makes_no_lease_longer(crew: Crew) -> None:
    holder = crew.join()
    job = crew.offered()
    crew.services.extensions.disconnected(holder.connection_id)
    assert crew.now(job).lease_until == job.lease_until


def test_what_others_hold_is_left_alone_when_a_socket_breaks(crew: Crew) -> None:
    holder, _ = crew.at_work("e1")
    _, other = crew.at_work("e2")
    crew.services.extensions.disconnected(holder.connection_id)
    assert crew.now(other) == other


def test_a_web_process_that_ends_takes_its_sockets_along(crew: Crew) -> None:
    _, here = crew.at_work("e1")
    crew.join("e2", hub="hub-2")
    there = crew.taken()
    crew.services.extensions.hub_stopped("hub-1")
    assert [crew.extension(name).connected for name in ("e1", "e2")] == [False, True]
    assert (crew.now(here).lease_until or 0) <= crew.clock() + crew.services.settings.reconnect_grace_ms
    assert crew.now(there) == there
    assert crew.services.extensions.hub_heartbeat("hub-1") is False


def test_a_web_process_is_known_once_it_was_seen(crew: Crew) -> None:
    assert [crew.services.extensions.hub_heartbeat("hub-1") for _ in range(3)] == [False, True, True]


def test_the_connected_are_counted_over_all_web_processes_that_live(crew: Crew) -> None:
    crew.join("e1", hub="hub-1")
    crew.join("e2", hub="hub-1")
    crew.join("e3", hub="hub-2")
    assert crew.services.extensions.count() == 3
    crew.hub_falls_silent("hub-1")
    assert crew.services.extensions.count() == 1


# -- heartbeats


def test_a_greeting_from_a_socket_that_is_gone_takes_nothing_over(crew: Crew) -> None:
    holder, job = crew.at_work()

    def gone() -> None:
        raise ConnectionError

    late = Socket("hub-2", "an-older-socket")
    with pytest.raises(ConnectionError):
        crew.services.extensions.connected(
            Authenticate(extension_id=holder.extension_id, active_request_ids=()), late, gone
        )
    assert crew.now(job).status is Status.PROCESSING
    assert crew.extension().connection_id == holder.connection_id


# -- the last seen time, which is only displayed
