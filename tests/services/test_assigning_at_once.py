"""A new request that finds an extension of its own process free is given out by the commit that enters it."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from app.db import slots
from app.db.engine import Transaction
from app.domain.states import Status
from tests.support.crew import HUB, Crew
from tests.support.waiting import until


@pytest.fixture
def crew(crew: Crew) -> Crew:
    """Its process holds the sockets of its extensions."""
    crew.bench.bus.here = HUB
    return crew


def test_it_is_with_its_extension_before_any_worker_looks(crew: Crew) -> None:
    holder = crew.join()
    job = crew.now(crew.order())
    assert (job.status, job.holder, job.connection_id) == (Status.PROCESSING, "e1", holder.connection_id)
    assert (job.attempt, job.handed_over, job.version, job.last_event) == (1, False, 2, 2)
    assert crew.extension().held == 1
    assert [offer["requestId"] for offer in crew.bench.bus.sent("generate_image")] == [job.id]
    assert crew.bench.tasks.assigns == 0
    assert crew.hand_out() == 0


def test_its_log_has_both_facts_in_order(crew: Crew) -> None:
    crew.join()
    job = crew.order()
    facts = [(fact.seq, fact.type, fact.status) for fact in crew.facts(job)]
    assert facts == [
        (1, "ImageGenerationRequestedEvent", "accepted"),
        (2, "ImageGenerationAssignedEvent", "processing"),
    ]


def test_its_client_is_told_that_it_was_accepted(crew: Crew) -> None:
    crew.join()
    assert crew.order().status is Status.ACCEPTED


@pytest.mark.parametrize("here", [None, "hub-2"])
def test_an_extension_of_another_process_is_left_to_workers(crew: Crew, here: str | None) -> None:
    crew.join()
    crew.bench.bus.here = here
    job = crew.order()
    assert crew.now(job).status is Status.ACCEPTED
    assert crew.bench.bus.to_hubs == []
    assert crew.bench.tasks.assigns == 1
    assert crew.hand_out() == 1


def test_nobody_is_chosen_for_being_near(crew: Crew) -> None:
    crew.join("near", max_concurrent=2)
    crew.order()
    crew.join("far", hub="hub-2")
    job = crew.order("ben")  # the one that is far has less to do
    assert crew.now(job).status is Status.ACCEPTED
    assert crew.hand_out() == 1
    assert crew.now(job).holder == "far"


def test_where_nobody_is_free_it_waits_and_a_worker_is_woken(crew: Crew) -> None:
    crew.join()
    crew.order()
    job = crew.order("ben")
    assert crew.now(job).status is Status.ACCEPTED
    assert crew.bench.tasks.assigns == 1


def test_nobody_overtakes_who_waits_for_the_same_extension(crew: Crew) -> None:
    crew.bench.bus.here = None
    first = crew.order()
    crew.join()
    crew.bench.bus.here = HUB
    late = crew.order("ben")
    assert (crew.now(first).status, crew.now(late).status) == (Status.ACCEPTED, Status.ACCEPTED)
    assert crew.hand_out() == 1
    assert crew.now(first).holder == "e1"


def test_who_waits_for_what_nobody_makes_holds_nobody_up(crew: Crew) -> None:
    crew.join("e1", "flux")
    crew.order(model="dall-e-3")
    assert crew.now(crew.order("ben", model="flux")).holder == "e1"


def test_behind_a_long_line_it_is_left_to_workers(crew: Crew) -> None:
    for number in range(10):
        crew.order(f"user-{number}", model="dall-e-3")
    crew.join("e1", "flux")
    job = crew.order("ben", model="flux")
    assert crew.now(job).status is Status.ACCEPTED
    assert crew.hand_out() == 1
    assert crew.now(job).holder == "e1"


def test_requests_that_come_together_never_fill_an_extension_beyond_its_slots(crew: Crew) -> None:
    for number in range(3):
        crew.join(f"e{number}", max_concurrent=2)
    with ThreadPoolExecutor(8) as pool:
        jobs = list(pool.map(lambda n: crew.order(f"user-{n}"), range(16)))
    while crew.hand_out():
        pass
    held = [crew.extension(f"e{number}").held for number in range(3)]
    assert held == [2, 2, 2]
    statuses = [crew.now(job).status for job in jobs]
    assert (statuses.count(Status.PROCESSING), statuses.count(Status.ACCEPTED)) == (6, 10)
    offered = [offer["requestId"] for offer in crew.bench.bus.sent("generate_image")]
    assert len(set(offered)) == len(offered) == 6


def test_an_offer_that_cannot_be_made_undoes_the_whole_request(crew: Crew, monkeypatch: pytest.MonkeyPatch) -> None:
    crew.join()

    def break_down(*_: object, **__: object) -> bool:
        raise RuntimeError("broken")

    monkeypatch.setattr(slots, "take", break_down)
    with pytest.raises(RuntimeError):
        crew.order()
    assert crew.services.lookup.page(None, None, None, 10).views == []
    assert (crew.bench.tasks.assigns, crew.bench.bus.to_hubs) == (0, [])


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_whoever_gives_something_to_the_same_extension_is_not_waited_for(crew: Crew) -> None:
    crew.join("e1", max_concurrent=2)
    held, over = threading.Event(), threading.Event()

    def hold(tx: Transaction) -> None:
        slots.hold(tx, "e1")
        tx.now  # noqa: B018 - sends what was only told
        held.set()
        over.wait(20)

    worker = threading.Thread(target=crew.bench.database.write, args=(hold,))
    worker.start()
    until(held.is_set, 10, "the extension's row to be held")
    try:
        job = crew.order()
        assert crew.now(job).status is Status.ACCEPTED
        assert crew.bench.tasks.assigns == 1
    finally:
        over.set()
        worker.join()
    assert crew.hand_out() == 1
