"""Who is given what."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest

from app.domain.states import Status
from app.domain.upload_urls import UploadGrant
from app.services import dispatch
from app.services.upload_key import UploadKey
from tests.support.crew import Crew
from tests.support.statements import noted


def holders(crew: Crew) -> dict[str, int]:
    """How many requests each extension was put before."""
    offers = [word for _, word in crew.bench.bus.to_hubs if word["do"] == "offer"]
    names = [word["connection"].rsplit("-socket-", 1)[0] for word in offers]
    return {name: names.count(name) for name in set(names)}


def test_a_waiting_request_is_put_before_a_free_extension(crew: Crew) -> None:
    holder = crew.join()
    job = crew.offered()
    assert (job.status, job.holder, job.connection_id) == (Status.PROCESSING, "e1", holder.connection_id)
    assert (job.attempt, job.handed_over, job.strikes) == (1, False, 0)
    settings = crew.services.settings
    assert job.lease_until == (job.started_at or 0) + settings.offer_timeout_ms
    assert job.attempt_until == (job.started_at or 0) + settings.request_max_ms
    assert crew.extension().held == 1
    assert crew.facts(job)[-1].data == {"extension_id": "e1", "attempt": 1}


def test_the_offer_travels_over_the_hub_that_holds_the_socket(crew: Crew) -> None:
    holder = crew.join(hub="hub-7")
    job = crew.offered(parameters={"width": 64, "seed": 7})
    ((hub, word),) = crew.bench.bus.to_hubs
    assert (hub, word["do"], word["connection"]) == ("hub-7", "offer", holder.connection_id)
    assert (word["requestId"], word["lease"]) == (job.id, job.lease)
    message = dict(word["message"])
    del message["upload"], message["timestamp"]
    assert message == {
        "type": "generate_image",
        "requestId": job.id,
        "prompt": "a fox",
        "model": "dall-e-3",
        "parameters": {"width": 64, "seed": 7},
        "userId": "ann",
        "correlationId": "correlation-1",
        "lease": job.lease,
    }


def test_an_endless_queue_is_continued_by_another_task(crew: Crew, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch, "BUSY_S", 0.0)
    monkeypatch.setattr(dispatch, "BATCH", 1)
    for number in range(3):
        crew.join(f"e{number}")
        crew.order("ann")
    wakes = crew.bench.tasks.assigns
    assert [crew.services.dispatch.assign_waiting() for _ in range(3)] == [1, 1, 1]
    assert crew.bench.tasks.assigns - wakes == 3
    assert crew.services.dispatch.assign_waiting() == 0
    assert crew.bench.tasks.assigns - wakes == 3
    assert sum(holders(crew).values()) == 3


@pytest.mark.parametrize("secret", [None, "s" * 32])
def test_the_offer_grants_uploads_for_this_attempt(crew: Crew, secret: str | None) -> None:
    crew = crew.with_settings(secret_key=secret, public_url="https://pictures.example")
    crew.join()
    job = crew.offered()
    upload = crew.bench.bus.sent("generate_image")[0]["upload"]
    address, _, query = upload["url"].partition("?")
    assert address == f"https://pictures.example/api/uploads/{job.id}"
    assert (upload["method"], upload["maxBytes"]) == ("PUT", crew.services.settings.max_image_bytes)
    granted = dict(part.split("=") for part in query.split("&"))
    key = crew.bench.database.write(lambda tx: UploadKey(crew.bench.ports).value(tx))
    UploadGrant(job.id, job.attempt, int(granted["expires"])).check(key, granted["signature"], job.updated_at)
    assert int(granted["expires"]) == job.attempt_until


def test_without_a_free_extension_nothing_is_assigned(crew: Crew) -> None:
    job = crew.order()
    assert crew.hand_out() == 0
    assert crew.now(job) == job


@pytest.mark.parametrize(
    ("column", "value"), [("available", False), ("connected", False), ("cooldown_until", 2**53), ("held", 1)]
)
def test_who_takes_no_work_gets_none(crew: Crew, column: str, value: int | str) -> None:
    crew.join()
    changed: dict[str, Any] = {column: value}
    crew.set_extension(**changed)
    job = crew.order()
    assert crew.hand_out() == 0
    assert crew.now(job).status is Status.ACCEPTED


@pytest.mark.parametrize(
    ("capabilities", "able"),
    [
        (("*",), True),
        (("image-generation",), True),
        (("image-generation", "flux"), True),
        (("flux",), True),
        (("image-generation", "dall-e-3"), False),
        (("dall-e-3",), False),
    ],
)
def test_only_capable_extensions_receive_offers(crew: Crew, capabilities: tuple[str, ...], able: bool) -> None:
    crew.join("e1", *capabilities)
    crew.order(model="flux")
    assert crew.hand_out() == int(able)


def test_the_least_busy_extension_is_preferred_then_the_last_successful_one(crew: Crew) -> None:
    crew.join("busy", max_concurrent=4)
    crew.taken()
    for name, success in (("cold", 10), ("warm", 20)):
        crew.join(name, max_concurrent=4)
        crew.set_extension(name, last_success_at=success)
    assert crew.offered().holder == "warm"


def test_load_counts_in_shares_not_in_requests(crew: Crew) -> None:
    crew.join("small", max_concurrent=2)
    crew.taken()
    crew.join("large", max_concurrent=10)
    for _ in range(4):
        assert crew.taken().holder == "large"


def test_the_extension_that_failed_last_is_chosen_only_if_no_other_is_free(crew: Crew) -> None:
    first, job = crew.at_work("first")
    crew.join("second")
    crew.give_up(first, job)
    crew.set_extension("first", cooldown_until=0, failures=0)
    crew.hand_out()
    assert crew.now(job).holder == "second"
    crew.give_up(crew.join("second", again=1, active=(job.id,)), job)
    crew.set_extension("second", available=False)
    crew.set_extension("first", available=False)
    crew.hand_out()
    assert crew.now(job).status is Status.ACCEPTED
    crew.set_extension("second", available=True, cooldown_until=0, failures=0)
    crew.hand_out()
    assert (crew.now(job).holder, crew.now(job).attempt) == ("second", 3)


def test_one_request_at_a_time_shows_whether_an_extension_is_well_again(crew: Crew) -> None:
    holder = crew.join(max_concurrent=4)
    crew.set_extension(failures=1)
    jobs = [crew.order() for _ in range(3)]
    assert crew.hand_out() == 1
    crew.deliver(holder, jobs[0])
    assert crew.hand_out() == 2


def test_work_is_spread_over_the_fleet(crew: Crew) -> None:
    for n in range(4):
        crew.join(f"e{n}", max_concurrent=2)
    for _ in range(8):
        crew.order()
    assert crew.hand_out() == 8
    assert holders(crew) == {f"e{n}": 2 for n in range(4)}


def test_no_extension_is_given_more_than_it_takes_by_workers_that_assign_at_once(crew: Crew) -> None:
    for n in range(3):
        crew.join(f"e{n}", max_concurrent=n + 1)
    made = [crew.order(f"user-{n}") for n in range(20)]
    with ThreadPoolExecutor(8) as pool:
        given = sum(pool.map(lambda _: crew.hand_out(), range(16)))
    assert given == 6
    assert holders(crew) == {"e0": 1, "e1": 2, "e2": 3}
    assert [crew.extension(f"e{n}").held for n in range(3)] == [1, 2, 3]
    assert sum(crew.now(job).status is Status.PROCESSING for job in made) == 6


def test_slots_that_are_freed_at_once_are_all_free(crew: Crew) -> None:
    holder = crew.join(max_concurrent=8)
    for _ in range(4):
        made = [crew.taken() for _ in range(8)]
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda job: crew.deliver(holder, job), made))
        assert crew.extension().held == 0


def test_a_request_that_is_not_due_waits(crew: Crew) -> None:
    crew.join()
    job = crew.order()
    crew.pass_time(job, due_at=2**53)
    assert crew.hand_out() == 0


def test_idle_extensions_for_other_models_do_not_hide_the_one_that_can(
    crew: Crew, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatch, "BATCH", 2)
    for n in range(5):
        crew.join(f"other-{n}", "dall-e-3")
    crew.join("able", "flux")
    crew.set_extension("able", last_success_at=0, held=0)
    for n in range(5):
        crew.set_extension(f"other-{n}", last_success_at=9)
    job = crew.order(model="flux")
    assert crew.hand_out() == 1
    assert crew.now(job).holder == "able"


def test_unserved_requests_do_not_block_those_behind_them(crew: Crew, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch, "BATCH", 2)
    for _ in range(5):
        crew.order(model="unserved-model")
    crew.join("able", "flux")
    job = crew.order(model="flux")
    assert crew.hand_out() == 1
    assert crew.now(job).holder == "able"


def test_what_was_cancelled_meanwhile_is_not_given_out(crew: Crew, monkeypatch: pytest.MonkeyPatch) -> None:
    crew.join()
    job = crew.order()
    snapshot = crew.bench.database.read(partial(dispatch._snapshot, 0))
    crew.services.cancellation.cancel(job.id)
    snapshots = [dispatch.Snapshot(), snapshot]
    monkeypatch.setattr(dispatch, "_snapshot", lambda *_: snapshots.pop())
    assert [waiting.id for waiting in snapshot.waiting] == [job.id]
    assert crew.hand_out() == 0
    assert crew.extension().held == 0


def test_an_extension_with_many_slots_is_filled_by_one_read_of_the_queue(crew: Crew) -> None:
    crew.join(max_concurrent=8)
    for n in range(12):
        crew.order(f"user-{n}")
    with noted("ORDER BY jobs.place") as asked:
        assert crew.hand_out() == 8
    assert len(asked) == 1
