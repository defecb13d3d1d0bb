"""The dispatcher: which extension gets which request."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest

from app.domain.states import Status
from app.domain.upload_urls import UploadGrant
from app.services import dispatch
from app.services.signing_keys import upload_key
from tests.support.harness import PICTURE, Harness
from tests.support.image_samples import png
from tests.support.statements import recorded_statements


def holders(harness: Harness) -> dict[str, int]:
    """How many requests were offered to each extension."""
    offers = [word for _, word in harness.bench.bus.to_hubs if word["do"] == "offer"]
    names = [word["connection"].rsplit("-socket-", 1)[0] for word in offers]
    return {name: names.count(name) for name in set(names)}


def test_a_waiting_request_is_offered_to_a_free_extension(harness: Harness) -> None:
    holder = harness.connect()
    job = harness.submit_and_assign()
    assert (job.status, job.holder, job.connection_id) == (Status.PROCESSING, "e1", holder.connection_id)
    assert (job.attempt, job.handed_over, job.strikes) == (1, False, 0)
    settings = harness.services.settings
    assert job.lease_until == (job.started_at or 0) + settings.offer_timeout_ms
    assert job.attempt_until == (job.started_at or 0) + settings.request_max_ms
    assert harness.extension_row().held == 1
    assert harness.events(job)[-1].data == {"extension_id": "e1", "attempt": 1}


def test_the_offer_is_sent_to_the_hub_that_holds_the_socket(harness: Harness) -> None:
    holder = harness.connect(hub="hub-7")
    job = harness.submit_and_assign(parameters={"width": 64, "seed": 7})
    ((hub, word),) = harness.bench.bus.to_hubs
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


def test_a_long_queue_is_continued_by_another_task(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch, "BUSY_S", 0.0)
    monkeypatch.setattr(dispatch, "BATCH", 1)
    for number in range(3):
        harness.connect(f"e{number}")
        harness.submit("ann")
    wakes = harness.bench.tasks.assigns
    assert [harness.services.dispatch.assign_waiting() for _ in range(3)] == [1, 1, 1]
    assert harness.bench.tasks.assigns - wakes == 3
    assert harness.services.dispatch.assign_waiting() == 0
    assert harness.bench.tasks.assigns - wakes == 3
    assert sum(holders(harness).values()) == 3


@pytest.mark.parametrize("secret", [None, "s" * 32])
def test_the_offer_grants_uploads_for_this_attempt(harness: Harness, secret: str | None) -> None:
    harness = harness.with_settings(secret_key=secret, public_url="https://pictures.example")
    harness.connect()
    job = harness.submit_and_assign()
    upload = harness.bench.bus.sent("generate_image")[0]["upload"]
    address, _, query = upload["url"].partition("?")
    assert address == f"https://pictures.example/api/uploads/{job.id}"
    assert (upload["method"], upload["maxBytes"]) == ("PUT", harness.services.settings.max_image_bytes)
    granted = dict(part.split("=") for part in query.split("&"))
    key = upload_key(harness.bench.ports).value()
    UploadGrant(job.id, job.attempt, int(granted["expires"])).check(key, granted["signature"], job.updated_at)
    assert int(granted["expires"]) == job.attempt_until


def test_without_a_free_extension_nothing_is_assigned(harness: Harness) -> None:
    job = harness.submit()
    assert harness.assign() == 0
    assert harness.reload(job) == job


@pytest.mark.parametrize(
    ("column", "value"), [("available", False), ("connected", False), ("cooldown_until", 2**53), ("held", 1)]
)
def test_an_unavailable_extension_receives_no_offers(harness: Harness, column: str, value: int | str) -> None:
    harness.connect()
    changed: dict[str, Any] = {column: value}
    harness.update_extension(**changed)
    job = harness.submit()
    assert harness.assign() == 0
    assert harness.reload(job).status is Status.ACCEPTED


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
def test_only_capable_extensions_receive_offers(harness: Harness, capabilities: tuple[str, ...], able: bool) -> None:
    harness.connect("e1", *capabilities)
    harness.submit(model="flux")
    assert harness.assign() == int(able)


def test_the_least_busy_extension_is_preferred_then_the_last_successful_one(harness: Harness) -> None:
    harness.connect("busy", max_concurrent=4)
    harness.submit_and_start()
    for name, success in (("cold", 10), ("warm", 20)):
        harness.connect(name, max_concurrent=4)
        harness.update_extension(name, last_success_at=success)
    assert harness.submit_and_assign().holder == "warm"


def test_load_counts_in_shares_not_in_requests(harness: Harness) -> None:
    harness.connect("small", max_concurrent=2)
    harness.submit_and_start()
    harness.connect("large", max_concurrent=10)
    for _ in range(4):
        assert harness.submit_and_start().holder == "large"


def test_the_extension_that_failed_last_is_chosen_only_if_no_other_is_free(harness: Harness) -> None:
    first, job = harness.connect_and_start("first")
    harness.connect("second")
    harness.report_failure(first, job)
    harness.update_extension("first", cooldown_until=0, failures=0)
    harness.assign()
    assert harness.reload(job).holder == "second"
    harness.report_failure(harness.connect("second", number=1, active=(job.id,)), job)
    harness.update_extension("second", available=False)
    harness.update_extension("first", available=False)
    harness.assign()
    assert harness.reload(job).status is Status.ACCEPTED
    harness.update_extension("second", available=True, cooldown_until=0, failures=0)
    harness.assign()
    assert (harness.reload(job).holder, harness.reload(job).attempt) == ("second", 3)


def test_an_extension_is_tested_with_one_request_at_a_time_after_a_failure(harness: Harness) -> None:
    holder = harness.connect(max_concurrent=4)
    harness.update_extension(failures=1)
    jobs = [harness.submit() for _ in range(3)]
    assert harness.assign() == 1
    harness.report_image(holder, jobs[0])
    assert harness.assign() == 1  # a picture that was reported may still turn out to be none
    harness.bench.fetch.answers[PICTURE] = png(8, 8)
    harness.run_downloads()
    assert harness.assign() == 1


def test_work_is_spread_over_the_fleet(harness: Harness) -> None:
    for n in range(4):
        harness.connect(f"e{n}", max_concurrent=2)
    for _ in range(8):
        harness.submit()
    assert harness.assign() == 8
    assert holders(harness) == {f"e{n}": 2 for n in range(4)}


def test_concurrent_dispatchers_do_not_exceed_an_extensions_slots(harness: Harness) -> None:
    for n in range(3):
        harness.connect(f"e{n}", max_concurrent=n + 1)
    made = [harness.submit(f"user-{n}") for n in range(20)]
    with ThreadPoolExecutor(8) as pool:
        given = sum(pool.map(lambda _: harness.assign(), range(16)))
    assert given == 6
    assert holders(harness) == {"e0": 1, "e1": 2, "e2": 3}
    assert [harness.extension_row(f"e{n}").held for n in range(3)] == [1, 2, 3]
    assert sum(harness.reload(job).status is Status.PROCESSING for job in made) == 6


def test_all_slots_freed_at_the_same_time_are_counted_as_free(harness: Harness) -> None:
    holder = harness.connect(max_concurrent=8)
    for _ in range(4):
        made = [harness.submit_and_start() for _ in range(8)]
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda job: harness.report_image(holder, job), made))
        assert harness.extension_row().held == 0


def test_a_request_that_is_not_due_waits(harness: Harness) -> None:
    harness.connect()
    job = harness.submit()
    harness.update_job(job, due_at=2**53)
    assert harness.assign() == 0


def test_idle_extensions_for_other_models_do_not_hide_a_capable_one(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatch, "BATCH", 2)
    for n in range(5):
        harness.connect(f"other-{n}", "dall-e-3")
    harness.connect("able", "flux")
    harness.update_extension("able", last_success_at=0, held=0)
    for n in range(5):
        harness.update_extension(f"other-{n}", last_success_at=9)
    job = harness.submit(model="flux")
    assert harness.assign() == 1
    assert harness.reload(job).holder == "able"


def test_unserved_requests_do_not_block_those_behind_them(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch, "BATCH", 2)
    for _ in range(5):
        harness.submit(model="unserved-model")
    harness.connect("able", "flux")
    job = harness.submit(model="flux")
    assert harness.assign() == 1
    assert harness.reload(job).holder == "able"


def test_a_request_cancelled_meanwhile_is_not_assigned(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    harness.connect()
    job = harness.submit()
    snapshot = harness.bench.database.read(partial(dispatch._snapshot, 0, 0))
    harness.services.cancellation.cancel(job.id)
    snapshots = [dispatch.Snapshot(), snapshot]
    monkeypatch.setattr(dispatch, "_snapshot", lambda *_: snapshots.pop())
    assert [waiting.id for waiting in snapshot.waiting] == [job.id]
    assert harness.assign() == 0
    assert harness.extension_row().held == 0


def test_an_extension_with_many_slots_is_filled_by_one_read_of_the_queue(harness: Harness) -> None:
    harness.connect(max_concurrent=8)
    for n in range(12):
        harness.submit(f"user-{n}")
    with recorded_statements("ORDER BY jobs.priority") as queries:
        assert harness.assign() == 8
    assert len(queries) == 1


@pytest.mark.parametrize("queued_before", [0, 12])
def test_names_of_models_match_without_case(harness: Harness, queued_before: int) -> None:
    for _ in range(queued_before):
        harness.submit(model="another")
    job = harness.submit(model="FLUX.1-dev")
    harness.connect("e1", "Flux.1-Dev")
    assert harness.assign() == 1
    assert (harness.reload(job).holder, harness.reload(job).model) == ("e1", "Flux.1-Dev")
    harness.sweep()
    assert harness.reload(job).status is Status.PROCESSING
