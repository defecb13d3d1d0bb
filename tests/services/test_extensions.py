"""Connection, reconnection and disconnection of extensions."""

from __future__ import annotations

import pytest

from app.db.fleet import Socket
from app.domain.messages import Authenticate
from app.domain.states import Status
from tests.support.harness import Harness


def test_the_metadata_of_an_extension_are_stored(harness: Harness) -> None:
    harness.connect("e1", "image-generation", "flux", max_concurrent=3, hub="hub-2")
    extension = harness.extension_row()
    assert (extension.connected, extension.available, extension.max_concurrent) == (True, True, 3)
    assert (extension.hub_id, extension.connection_id) == ("hub-2", "e1-socket-1")
    assert extension.capabilities == ["image-generation", "flux"]


def test_a_newer_socket_replaces_the_older_one(harness: Harness) -> None:
    harness.connect(hub="hub-1")
    harness.connect(hub="hub-2", number=2)
    assert harness.bench.bus.to_hubs == [("hub-1", {"do": "replace", "connection": "e1-socket-1"})]
    assert harness.extension_row().hub_id == "hub-2"
    harness.services.extensions.disconnected("e1-socket-1")
    assert harness.extension_row().connected


# -- reconnection


def test_an_extension_that_lists_no_requests_keeps_those_it_holds(harness: Harness) -> None:
    holder, job = harness.connect_and_start()
    harness.services.extensions.disconnected(holder.connection_id)
    back, kept = harness.connect_and_welcome("e1", number=2)
    assert kept == (job.id,)
    held = harness.reload(job)
    assert (held.status, held.lease, held.connection_id) == (Status.PROCESSING, job.lease, back.connection_id)
    assert (held.lease_until or 0) > harness.now() + harness.services.settings.reconnect_grace_ms
    assert harness.extension_row().held == 1
    harness.report_image(back, job)
    assert harness.reload(job).status is Status.DOWNLOADING


def test_an_extension_keeps_the_requests_it_lists_and_the_rest_are_requeued(harness: Harness) -> None:
    harness.connect(max_concurrent=3)
    kept, forgotten = harness.submit_and_start(), harness.submit_and_start()
    _, held = harness.connect_and_welcome("e1", number=2, max_concurrent=3, active=(kept.id, "of-another-time"))
    assert held == (kept.id,)
    assert harness.reload(kept).status is Status.PROCESSING
    back = harness.reload(forgotten)
    assert (back.status, back.strikes) == (Status.ACCEPTED, 1)
    assert harness.events(back)[-1].data["reason"] == "The extension no longer works on the request."
    assert harness.extension_row().held == 1


@pytest.mark.parametrize("active", [None, ()])
def test_an_offer_that_never_arrived_is_no_strike(harness: Harness, active: tuple[str, ...] | None) -> None:
    harness.connect()
    job = harness.submit_and_assign()
    _, held = harness.connect_and_welcome("e1", number=2, active=active)
    assert held == ()
    assert (harness.reload(job).status, harness.reload(job).strikes) == (Status.ACCEPTED, 0)
    assert harness.extension_row().held == 0


def test_an_offer_that_the_extension_lists_is_kept(harness: Harness) -> None:
    harness.connect()
    job = harness.submit_and_assign()
    _, held = harness.connect_and_welcome("e1", number=2, active=(job.id,))
    assert held == (job.id,)
    assert harness.reload(job).handed_over


def test_an_extension_cannot_resume_a_job_of_another(harness: Harness) -> None:
    _, job = harness.connect_and_start()
    _, held = harness.connect_and_welcome("other", active=(job.id,))
    assert held == ()
    assert harness.reload(job) == job


def test_an_extension_cannot_resume_a_requeued_job(harness: Harness) -> None:
    _, job = harness.connect_and_start()
    harness.expire_lease(job)
    harness.services.housekeeping.end_leases()
    _, held = harness.connect_and_welcome("e1", number=2, active=(job.id,))
    assert held == ()
    assert harness.reload(job).status is Status.ACCEPTED


def test_reconnecting_does_not_extend_an_attempt(harness: Harness) -> None:
    _, job = harness.connect_and_start()
    ends = harness.now() + 5_000
    harness.update_job(job, attempt_until=ends)
    harness.connect(number=2)
    assert harness.reload(job).lease_until == ends


# -- disconnection


def test_requests_of_a_broken_socket_are_kept_for_the_grace_period(harness: Harness) -> None:
    holder, job = harness.connect_and_start()
    before = harness.now()
    harness.services.extensions.disconnected(holder.connection_id)
    held, grace_ms = harness.reload(job), harness.services.settings.reconnect_grace_ms
    assert held.status is Status.PROCESSING
    assert before + grace_ms <= (held.lease_until or 0) <= harness.now() + grace_ms
    assert not harness.extension_row().connected


def test_a_broken_socket_does_not_extend_a_lease(harness: Harness) -> None:
    holder = harness.connect()
    job = harness.submit_and_assign()
    harness.services.extensions.disconnected(holder.connection_id)
    assert harness.reload(job).lease_until == job.lease_until


def test_a_broken_socket_does_not_affect_requests_of_other_extensions(harness: Harness) -> None:
    holder, _ = harness.connect_and_start("e1")
    _, other = harness.connect_and_start("e2")
    harness.services.extensions.disconnected(holder.connection_id)
    assert harness.reload(other) == other


def test_a_web_process_that_ends_disconnects_its_extensions(harness: Harness) -> None:
    _, here = harness.connect_and_start("e1")
    harness.connect("e2", hub="hub-2")
    there = harness.submit_and_start()
    harness.services.extensions.hub_stopped("hub-1")
    assert [harness.extension_row(name).connected for name in ("e1", "e2")] == [False, True]
    assert (harness.reload(here).lease_until or 0) <= harness.now() + harness.services.settings.reconnect_grace_ms
    assert harness.reload(there) == there
    assert harness.services.extensions.hub_heartbeat("hub-1") is False


def test_a_web_process_is_known_once_it_was_seen(harness: Harness) -> None:
    assert [harness.services.extensions.hub_heartbeat("hub-1") for _ in range(3)] == [False, True, True]


def test_connected_extensions_are_counted_over_all_running_web_processes(harness: Harness) -> None:
    harness.connect("e1", hub="hub-1")
    harness.connect("e2", hub="hub-1")
    harness.connect("e3", hub="hub-2")
    assert harness.services.extensions.count() == 3
    harness.expire_hub("hub-1")
    assert harness.services.extensions.count() == 1


# -- heartbeats


def test_an_authentication_over_a_closed_socket_does_not_replace_the_connection(harness: Harness) -> None:
    holder, job = harness.connect_and_start()

    def gone() -> None:
        raise ConnectionError

    late = Socket("hub-2", "an-older-socket")
    with pytest.raises(ConnectionError):
        harness.services.extensions.connected(
            Authenticate(extension_id=holder.extension_id, active_request_ids=()), late, gone
        )
    assert harness.reload(job).status is Status.PROCESSING
    assert harness.extension_row().connection_id == holder.connection_id


# -- the last seen time, which is only displayed
