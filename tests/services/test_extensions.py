"""Extensions come, live and go."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from app.db import fleet
from app.db.engine import Database, Transaction
from app.db.fleet import Socket
from app.domain.messages import Authenticate, Heartbeat
from app.domain.states import Status
from app.services import extensions, heard
from app.services.generation import Holder
from tests.support.crew import Crew
from tests.support.statements import noted

HOUR = 3_600_000


def test_an_extension_that_connects_wakes_those_who_assign(crew: Crew) -> None:
    crew.join()
    assert crew.bench.tasks.assigns == 1


def test_what_an_extension_says_of_itself_is_kept(crew: Crew) -> None:
    crew.join("e1", "image-generation", "flux", max_concurrent=3, hub="hub-2")
    extension = crew.extension()
    assert (extension.connected, extension.available, extension.max_concurrent) == (True, True, 3)
    assert (extension.hub_id, extension.connection_id) == ("hub-2", "e1-socket-1")
    assert extension.capabilities == ["image-generation", "flux"]


def test_a_newer_socket_takes_over_and_the_older_is_told_to_close(crew: Crew) -> None:
    crew.join(hub="hub-1")
    crew.join(hub="hub-2", again=2)
    assert crew.bench.bus.to_hubs == [("hub-1", {"do": "replace", "connection": "e1-socket-1"})]
    assert crew.extension().hub_id == "hub-2"
    crew.house.extensions.disconnected("e1-socket-1")
    assert crew.extension().connected


# -- coming back


def test_an_extension_that_lists_nothing_keeps_what_it_has_in_hand(crew: Crew) -> None:
    holder, job = crew.at_work()
    crew.house.extensions.disconnected(holder.connection_id)
    back, welcome = crew.joined("e1", again=2)
    assert welcome.held == (job.id,)
    held = crew.now(job)
    assert (held.status, held.lease, held.connection_id) == (Status.PROCESSING, job.lease, back.connection_id)
    assert (held.lease_until or 0) > crew.clock() + crew.house.settings.reconnect_grace_ms
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
def test_an_offer_that_never_arrived_is_nobodys_fault(crew: Crew, active: tuple[str, ...] | None) -> None:
    crew.join()
    job = crew.offered()
    _, welcome = crew.joined("e1", again=2, active=active)
    assert welcome.held == ()
    assert (crew.now(job).status, crew.now(job).strikes) == (Status.ACCEPTED, 0)
    assert crew.extension().held == 0


def test_an_offer_that_arrived_after_all_is_kept_by_whoever_lists_it(crew: Crew) -> None:
    crew.join()
    job = crew.offered()
    _, welcome = crew.joined("e1", again=2, active=(job.id,))
    assert welcome.held == (job.id,)
    assert crew.now(job).handed_over


def test_nobody_takes_up_what_another_holds(crew: Crew) -> None:
    _, job = crew.at_work()
    _, welcome = crew.joined("other", active=(job.id,))
    assert welcome.held == ()
    assert crew.now(job) == job


def test_nobody_takes_up_what_was_given_back_meanwhile(crew: Crew) -> None:
    _, job = crew.at_work()
    crew.lease_ends(job)
    crew.house.housekeeping.end_leases()
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
    crew.house.extensions.disconnected(holder.connection_id)
    held, grace_ms = crew.now(job), crew.house.settings.reconnect_grace_ms
    assert held.status is Status.PROCESSING
    assert before + grace_ms <= (held.lease_until or 0) <= crew.clock() + grace_ms
    assert not crew.extension().connected


def test_a_broken_socket_makes_no_lease_longer(crew: Crew) -> None:
    holder = crew.join()
    job = crew.offered()
    crew.house.extensions.disconnected(holder.connection_id)
    assert crew.now(job).lease_until == job.lease_until


def test_what_others_hold_is_left_alone_when_a_socket_breaks(crew: Crew) -> None:
    holder, _ = crew.at_work("e1")
    _, other = crew.at_work("e2")
    crew.house.extensions.disconnected(holder.connection_id)
    assert crew.now(other) == other


def test_a_web_process_that_ends_takes_its_sockets_along(crew: Crew) -> None:
    _, here = crew.at_work("e1")
    crew.join("e2", hub="hub-2")
    there = crew.taken()
    crew.house.extensions.hub_leaves("hub-1")
    assert [crew.extension(name).connected for name in ("e1", "e2")] == [False, True]
    assert (crew.now(here).lease_until or 0) <= crew.clock() + crew.house.settings.reconnect_grace_ms
    assert crew.now(there) == there
    assert crew.house.extensions.hub_lives("hub-1") is False


def test_a_web_process_is_known_once_it_was_seen(crew: Crew) -> None:
    assert [crew.house.extensions.hub_lives("hub-1") for _ in range(3)] == [False, True, True]


def test_the_connected_are_counted_over_all_web_processes_that_live(crew: Crew) -> None:
    crew.join("e1", hub="hub-1")
    crew.join("e2", hub="hub-1")
    crew.join("e3", hub="hub-2")
    assert crew.house.extensions.count() == 3
    crew.hub_falls_silent("hub-1")
    assert crew.house.extensions.count() == 1


# -- heartbeats


@pytest.mark.parametrize("listed", [True, False])
def test_a_heartbeat_renews_what_the_extension_works_on(crew: Crew, listed: bool) -> None:
    holder, job = crew.at_work()
    crew.pass_time(job, lease_until=crew.clock() + 1_000)
    before = crew.clock()
    assert crew.beat(holder, **({"active_request_ids": (job.id,)} if listed else {"active_requests": 1}))
    assert (crew.now(job).lease_until or 0) >= before + crew.house.settings.request_timeout_ms


def test_a_heartbeat_does_not_make_an_attempt_longer(crew: Crew) -> None:
    holder, job = crew.at_work()
    ends = crew.clock() + 5_000
    crew.pass_time(job, attempt_until=ends)
    crew.beat(holder, active_request_ids=(job.id,))
    assert crew.now(job).lease_until == ends


def test_a_heartbeat_is_no_news_to_those_who_wait(crew: Crew) -> None:
    holder, job = crew.at_work()
    crew.bench.bus.changes.clear()
    crew.beat(holder, active_request_ids=(job.id,))
    assert crew.now(job).version == job.version
    assert crew.bench.bus.changes == []


def test_a_heartbeat_that_leaves_a_request_out_gives_it_back(crew: Crew) -> None:
    holder = crew.join(max_concurrent=2)
    kept, left_out = crew.taken(), crew.taken()
    crew.beat(holder, active_request_ids=(kept.id,))
    assert crew.now(kept).status is Status.PROCESSING
    assert (crew.now(left_out).status, crew.now(left_out).strikes) == (Status.ACCEPTED, 1)
    assert crew.extension().held == 1


def test_a_heartbeat_that_crosses_an_offer_leaves_it_alone(crew: Crew) -> None:
    holder = crew.join()
    job = crew.offered()
    crew.beat(holder, active_request_ids=())
    assert crew.now(job) == job


def test_a_heartbeat_that_counts_fewer_than_are_held_renews_nothing(crew: Crew) -> None:
    holder, job = crew.at_work()
    crew.beat(holder, active_requests=0)
    assert crew.now(job) == job


def test_a_heartbeat_that_counts_nothing_gives_back_what_was_taken_a_while_ago(crew: Crew) -> None:
    holder, job = crew.at_work()
    crew.pass_time(job, started_at=crew.clock() - 5_000)
    crew.beat(holder, active_requests=0, queue_size=1)
    assert crew.now(job).status is Status.PROCESSING
    crew.beat(holder, active_requests=0)
    assert (crew.now(job).status, crew.now(job).strikes) == (Status.ACCEPTED, 1)


def test_a_heartbeat_may_count_what_it_holds_as_queued(crew: Crew) -> None:
    holder, job = crew.at_work()
    crew.pass_time(job, lease_until=crew.clock() + 1_000)
    crew.beat(holder, active_requests=0, queue_size=1)
    assert (crew.now(job).lease_until or 0) > crew.clock() + 1_000


def test_an_extension_that_takes_no_work_for_a_while_is_given_none(crew: Crew) -> None:
    holder = crew.join()
    crew.order()
    crew.beat(holder, available=False)
    assert crew.hand_out() == 0
    crew.bench.tasks.assigns = 0
    crew.beat(holder, available=True)
    assert crew.bench.tasks.assigns == 1
    assert crew.hand_out() == 1


def test_a_heartbeat_where_nobody_waits_wakes_nobody(crew: Crew) -> None:
    holder = crew.join()
    crew.bench.tasks.assigns = 0
    crew.beat(holder)
    assert crew.bench.tasks.assigns == 0


@pytest.fixture
def commits(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What was written since, a commit each."""
    written: list[object] = []
    write = Database.write

    def noted_write(database: Database, work: Callable[[Transaction], object]) -> object:
        written.append(work)
        return write(database, work)

    monkeypatch.setattr(Database, "write", noted_write)
    return written


@pytest.mark.parametrize("available", [True, False])
def test_a_heartbeat_that_says_nothing_new_asks_once_and_writes_nothing(
    crew: Crew, commits: list[object], available: bool
) -> None:
    idle = crew.join("idle", "flux")
    crew.join("busy", "dall-e-3")
    crew.taken()
    crew.beat(idle, available=available)
    commits.clear()
    with noted() as asked:
        assert crew.beat(idle, available=available)
    assert (len(commits), len(asked)) == (0, 1)


def test_an_offer_that_is_not_in_hand_yet_has_no_heartbeat_written(crew: Crew, commits: list[object]) -> None:
    holder = crew.join()
    crew.offered()
    commits.clear()
    assert crew.beat(holder, active_request_ids=())
    assert commits == []


def test_a_heartbeat_that_says_something_new_is_written_at_once(crew: Crew, commits: list[object]) -> None:
    holder = crew.join()
    for available in (False, True):
        crew.set_extension(heard_at=1)
        commits.clear()
        assert crew.beat(holder, available=available)
        assert len(commits) == 1
        assert crew.extension().available is available
        assert crew.extension().heard_at > 1


def test_a_heartbeat_that_says_nothing_new_wakes_those_who_assign_where_somebody_waits(crew: Crew) -> None:
    able, unable = crew.join("able"), crew.join("unable")
    crew.beat(unable, available=False)
    crew.order()
    crew.bench.tasks.assigns = 0
    crew.beat(unable, available=False)
    assert crew.bench.tasks.assigns == 0
    crew.beat(able)
    assert crew.bench.tasks.assigns == 1


def test_one_that_is_replaced_while_its_heartbeat_is_read_is_told_so(
    crew: Crew, monkeypatch: pytest.MonkeyPatch
) -> None:
    older = crew.join()
    crew.join(again=2)
    monkeypatch.setattr(fleet, "known", lambda *_: fleet.Known(available=True, has_work=False, anyone_waits=False))
    assert crew.beat(older, available=False) is False
    assert crew.extension().available


def test_a_heartbeat_over_an_older_socket_is_not_taken(crew: Crew) -> None:
    older, job = crew.at_work()
    crew.join(again=2)
    before = crew.now(job)
    assert crew.beat(older, active_request_ids=(), available=False) is False
    assert crew.now(job) == before
    assert crew.extension().available


def test_a_heartbeat_of_nobody_is_not_taken(crew: Crew) -> None:
    assert crew.house.extensions.heard(Holder("e9", "no-socket"), Heartbeat("e9")) is False


def test_a_greeting_from_a_socket_that_is_gone_takes_nothing_over(crew: Crew) -> None:
    holder, job = crew.at_work()

    def gone() -> None:
        raise ConnectionError

    late = Socket("hub-2", "an-older-socket")
    with pytest.raises(ConnectionError):
        crew.house.extensions.connected(Authenticate(holder.extension_id, active_request_ids=()), late, gone)
    assert crew.now(job).status is Status.PROCESSING
    assert crew.extension().connection_id == holder.connection_id


# -- when they were last heard, which is only shown


def test_those_who_say_nothing_new_are_shown_as_heard_once_that_is_written_down(
    crew: Crew, commits: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extensions, "BATCH", 2)
    names = ("e1", "e2", "e3")
    holders = [crew.join(name) for name in names]
    for name in names:
        crew.set_extension(name, heard_at=1)
    before = crew.clock()
    for holder in holders:
        crew.beat(holder)
    assert [crew.extension(name).heard_at for name in names] == [1, 1, 1]
    commits.clear()
    crew.house.extensions.show_heard()
    assert len(commits) == 2
    after = crew.clock()
    assert [name for name in names if not before <= crew.extension(name).heard_at <= after] == []
    commits.clear()
    crew.house.extensions.show_heard()
    assert commits == []


def test_they_are_shown_as_heard_when_they_were(crew: Crew, monkeypatch: pytest.MonkeyPatch) -> None:
    holder = crew.join()
    crew.set_extension(heard_at=1)
    with monkeypatch.context() as then:
        then.setattr(heard, "time", SimpleNamespace(monotonic=lambda: time.monotonic() - 60))
        before = crew.clock()
        crew.beat(holder)
    crew.house.extensions.show_heard()
    assert before <= crew.extension().heard_at + 60_000 <= crew.clock()


def test_nobody_is_shown_as_heard_earlier_than_before(crew: Crew) -> None:
    holder = crew.join()
    crew.beat(holder)
    later = crew.clock() + HOUR
    crew.set_extension(heard_at=later)
    crew.house.extensions.show_heard()
    assert crew.extension().heard_at == later


def test_whoever_is_gone_is_not_shown_as_heard_any_more(crew: Crew) -> None:
    gone, replaced = crew.join("e1"), crew.join("e2")
    crew.beat(gone)
    crew.beat(replaced)
    crew.house.extensions.disconnected(gone.connection_id)
    crew.join("e2", again=2)
    for name in ("e1", "e2"):
        crew.set_extension(name, heard_at=1)
    with noted("UPDATE extensions") as statements:
        crew.house.extensions.show_heard()
    assert gone.connection_id not in str(statements)
    assert [crew.extension(name).heard_at for name in ("e1", "e2")] == [1, 1]
