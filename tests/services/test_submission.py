"""Submissions of requests."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from app.db import jobs
from app.domain.fair_queueing import UNIT
from app.domain.ids import is_request_id, uuid7
from app.domain.image_request import ImageRequest
from app.domain.states import Status
from tests.support.harness import HOUR, Harness


def test_a_submission_stores_one_row_and_its_first_event(harness: Harness) -> None:
    order = ImageRequest("a fox", "flux", "ann", {"width": 64, "numberOfImages": 2, "seed": [1]}, deadline_ms=5_000)
    job = harness.services.submission.submit(order, "correlation-9").job
    assert job == harness.reload(job)
    assert is_request_id(job.id)
    assert (job.status, job.version, job.last_event, job.progress) == (Status.ACCEPTED, 1, 1, 0)
    assert (job.prompt, job.model, job.user_id) == ("a fox", "flux", "ann")
    assert (job.parameters, job.number_of_images) == ({"width": 64, "numberOfImages": 2, "seed": [1]}, 2)
    assert job.correlation_id == "correlation-9"
    assert job.deadline_at == job.created_at + 5_000
    (fact,) = harness.events(job)
    assert (fact.seq, fact.type, fact.status) == (1, "ImageGenerationRequestedEvent", "accepted")
    assert fact.data == {"model": "flux", "user_id": "ann"}


def test_a_submission_wakes_a_dispatcher_if_an_extension_is_free(harness: Harness) -> None:
    harness.connect(max_concurrent=1)
    harness.submit()
    assert harness.bench.tasks.assigns == 1
    harness.services.dispatch.assign_waiting()
    harness.submit()
    assert harness.bench.tasks.assigns == 1  # the only extension is busy


def test_a_submission_publishes_no_change_since_its_id_is_not_known_yet(harness: Harness) -> None:
    harness.submit()
    assert harness.bench.bus.changes == []


def test_concurrent_submissions_are_all_stored(harness: Harness) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda n: harness.submit(f"user-{n % 3}"), range(40)))
    assert len({job.id for job in made}) == 40
    assert all(harness.event_types(job) == ["ImageGenerationRequestedEvent"] for job in made)


def test_a_users_requests_keep_their_order_even_if_the_clock_is_set_back(harness: Harness) -> None:
    order = {"correlation_id": "c-1", "user_id": "ann", "model": "dall-e-3", "prompt": "a fox", "parameters": {}}
    later = {"number_of_images": 1, "virtual_start": 7}
    first = harness.bench.database.write(
        lambda tx: jobs.add(tx, uuid7(tx.now + HOUR, b"\xff" * 10), {**order, **later})
    )
    others = [harness.submit("ann") for _ in range(3)]
    newest_first = harness.services.lookup.page("ann", None, None, 20)
    assert [view.job.id for view in newest_first.jobs] == [job.id for job in (*reversed(others), first)]
    assert [job.virtual_start for job in (first, *others)] == [7 + UNIT * n for n in range(4)]


def test_a_user_does_not_wait_for_the_whole_batch_of_another(harness: Harness) -> None:
    batch = [harness.submit("ann") for _ in range(60)]
    late = harness.submit("bob")
    line = [harness.services.lookup.details(job.id).queue for job in (late, batch[-1])]
    assert line[0] is not None
    assert line[1] is not None
    assert line[0].position == 2
    assert line[1].position == 61


def served(harness: Harness, count: int) -> list[str]:
    """The ids of the requests in the order in which one extension receives them."""
    holder = harness.connect()
    ids: list[str] = []
    for _ in range(count):
        assert harness.assign() == 1
        ids.append(harness.bench.bus.sent("generate_image")[-1]["requestId"])
        harness.report_image(holder, harness.services.lookup.details(ids[-1]).job)
    return ids


def test_batches_of_two_users_are_served_alternately(harness: Harness) -> None:
    users = {job.id: job.user_id for user in ("ann", "bob") for job in [harness.submit(user) for _ in range(20)]}
    turns = [users[request_id] for request_id in served(harness, 40)]
    assert all(abs(turns[:n].count("ann") - n / 2) <= 3 for n in range(1, 40))


def test_a_users_own_order_is_kept(harness: Harness) -> None:
    made = [harness.submit("ann").id for _ in range(12)]
    assert served(harness, 12) == made
