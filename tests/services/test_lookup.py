"""Queries of clients."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
from sqlalchemy import event

from app.db.jobs import Job, JobSummary
from app.domain.errors import NotFound
from app.domain.states import Status
from app.services.lookup import JobDetails
from tests.support.downloads import PNG
from tests.support.harness import PICTURE, Harness
from tests.support.statements import recorded_statements
from tests.support.waiting import until

UNKNOWN = "550e8400-e29b-41d4-a716-446655440000"


# -- one request


def test_a_waiting_request_shows_its_position_and_the_reason(harness: Harness) -> None:
    first, second = harness.submit(), harness.submit("bob")
    harness.submit(model="flux")
    views = [harness.services.lookup.details(job.id).queue for job in (first, second)]
    assert [(each.position, each.reason) for each in views if each] == [
        (1, "No extension is connected."),
        (2, "No extension is connected."),
    ]


def test_a_completed_request_shows_its_pictures(harness: Harness) -> None:
    holder, job = harness.connect_and_start()
    harness.report_image(holder, job)
    assert harness.services.lookup.details(job.id) == JobDetails(harness.reload(job))
    harness.bench.fetch.answers[PICTURE] = PNG
    harness.services.download.run()
    view = harness.services.lookup.details(job.id)
    assert (view.job.status, len(view.images), view.queue) == (Status.COMPLETED, 1, None)
    assert harness.services.lookup.picture(view.images[0].file) == view.images[0]
    assert harness.services.lookup.picture("no-such-file.png") is None


def test_the_status_is_that_of_the_details(harness: Harness) -> None:
    _, job = harness.connect_and_start()
    for step in (lambda: None, lambda: harness.services.cancellation.cancel(job.id)):
        step()
        seen = harness.services.lookup.details(job.id).job
        assert harness.services.lookup.status(job.id).job == JobSummary(
            *(getattr(seen, name) for name in JobSummary._fields)
        )
    waiting = harness.submit()
    details = harness.services.lookup.details(waiting.id)
    assert harness.services.lookup.status(waiting.id) == details


def test_a_wait_for_an_unknown_request_ends_at_once(harness: Harness) -> None:
    for query in (
        harness.services.lookup.details,
        harness.services.lookup.status,
        partial(harness.services.lookup.await_news, wait_s=1),
    ):
        with pytest.raises(NotFound):
            query(UNKNOWN)
    with pytest.raises(NotFound):
        harness.services.lookup.events_after(UNKNOWN, 0)


def test_events_continue_after_the_last_one_that_the_client_knows(harness: Harness) -> None:
    _, job = harness.connect_and_start()
    assert [fact.seq for fact in harness.services.lookup.events_after(job.id, 0)[1]] == [1, 2]
    assert [fact.seq for fact in harness.services.lookup.events_after(job.id, 1)[1]] == [2]
    assert harness.services.lookup.events_after(job.id, 2)[1] == []


def test_events_are_not_newer_than_the_request_shown_with_them(harness: Harness) -> None:
    """Otherwise a stream would skip the last event and wait for it forever."""
    job = harness.submit()
    done: list[str] = []

    def cancel_in_between(_c: object, _cursor: object, statement: str, *_: object) -> None:
        if "FROM jobs" in statement and not done:
            done.append(statement)
            with ThreadPoolExecutor(1) as another:
                another.submit(harness.services.cancellation.cancel, job.id).result()

    event.listen(harness.bench.database.reader, "after_cursor_execute", cancel_in_between)
    shown, facts = harness.services.lookup.events_after(job.id, 0)
    assert done
    assert (shown.status, [fact.seq for fact in facts]) == (Status.ACCEPTED, [1])
    shown, facts = harness.services.lookup.events_after(job.id, 1)
    assert (shown.status, [fact.seq for fact in facts]) == (Status.CANCELLED, [2])


# -- lists


def a_moment_passes(harness: Harness) -> None:
    """Wait for the next millisecond, the precision of creation times."""
    now = harness.now()
    until(lambda: harness.now() > now)


def test_a_users_requests_are_listed_newest_first_page_by_page(harness: Harness) -> None:
    made = []
    for _ in range(7):
        made.append(harness.submit().id)
        a_moment_passes(harness)
    harness.submit("bob")
    seen, cursor, sizes = [], None, []
    while True:
        page = harness.services.lookup.page("ann", None, cursor, 3)
        seen += [view.job.id for view in page.jobs]
        sizes.append(len(page.jobs))
        cursor = page.cursor
        if cursor is None:
            break
    assert (seen, sizes) == (made[::-1], [3, 3, 1])


def test_a_full_last_page_has_no_next_page(harness: Harness) -> None:
    for _ in range(3):
        harness.submit()
    assert harness.services.lookup.page("ann", None, None, 3).cursor is None


def test_a_list_can_be_filtered_by_status(harness: Harness) -> None:
    _, job = harness.connect_and_start()
    waiting = harness.submit()
    for status, ids in ((Status.PROCESSING, [job.id]), (Status.ACCEPTED, [waiting.id]), (Status.FAILED, [])):
        assert [view.job.id for view in harness.services.lookup.page("ann", status, None, 9).jobs] == ids


@pytest.mark.parametrize("status", [None, Status.ACCEPTED, Status.CANCELLED])
def test_the_requests_of_all_users_are_listed_newest_first_page_by_page(
    harness: Harness, status: Status | None
) -> None:
    made = []
    for user in ("ann", "bob", "ann", "eve", "bob"):
        made.append(harness.submit(user).id)
        a_moment_passes(harness)
    if status is Status.CANCELLED:
        for each in made:
            harness.services.cancellation.cancel(each)
    if status is Status.ACCEPTED:
        harness.services.cancellation.cancel(harness.submit("zoe").id)
    seen, cursor = [], None
    for size in (2, 2, 1):
        page = harness.services.lookup.page(None, status, cursor, 2)
        assert len(page.jobs) == size
        seen += [view.job.id for view in page.jobs]
        cursor = page.cursor
    assert (seen, cursor) == (made[::-1], None)


def test_the_requests_of_all_users_can_be_filtered_by_status(harness: Harness) -> None:
    made = {Status.ACCEPTED: harness.submit("bob").id}
    for status in Status:
        if status is not Status.ACCEPTED:
            made[status] = harness.submit("ann").id
            harness.update_job(harness.services.lookup.details(made[status]).job, status=status.value)
    for status, request_id in made.items():
        assert [view.job.id for view in harness.services.lookup.page(None, status, None, 9).jobs] == [request_id]
    assert len(harness.services.lookup.page(None, None, None, 9).jobs) == len(Status)


def test_an_unknown_user_has_no_requests(harness: Harness) -> None:
    harness.submit()
    page = harness.services.lookup.page("bob", None, None, 9)
    assert (list(page.jobs), page.cursor) == ([], None)


def test_a_list_reads_the_connected_extensions_once(harness: Harness) -> None:
    harness.connect("e1", "flux")
    for _ in range(5):
        harness.submit()
    with recorded_statements("FROM extensions") as queries:
        page = harness.services.lookup.page("ann", None, None, 9)
    assert {view.queue.reason for view in page.jobs if view.queue} == {
        "No connected extension supports the model dall-e-3. Supported are: flux."
    }
    assert len(queries) == 1


# -- why a request waits


def why(harness: Harness) -> str:
    waiting = harness.services.lookup.details(harness.submit().id).queue
    assert waiting is not None
    return waiting.reason


def waits_until(harness: Harness, job: Job) -> int:
    waiting = harness.services.lookup.details(job.id).queue
    assert waiting is not None
    return waiting.waits_until


def test_a_request_waits_for_the_queue_timeout_if_an_extension_supports_its_model(harness: Harness) -> None:
    harness.connect("e1", "dall-e-3")
    job = harness.submit()
    assert waits_until(harness, job) == job.created_at + harness.services.settings.queue_timeout_ms


def test_a_request_waits_for_a_shorter_time_if_none_does(harness: Harness) -> None:
    settings = harness.services.settings
    holder = harness.connect("e1", "dall-e-3")
    harness.update_extension(available=False)
    job = harness.submit()
    harness.update_job(job, queued_at=job.queued_at - 60_000)
    harness.sweep()
    served_at = harness.now()
    harness.services.extensions.disconnected(holder.connection_id)
    assert waits_until(harness, job) == pytest.approx(served_at + settings.no_extension_timeout_ms, abs=5_000)
    unserved = harness.submit(model="flux")
    assert waits_until(harness, unserved) == unserved.created_at + settings.no_extension_timeout_ms


def test_a_request_with_a_deadline_waits_until_that(harness: Harness) -> None:
    job = harness.submit(deadline_ms=8 * 3_600_000)
    assert waits_until(harness, job) == job.created_at + 8 * 3_600_000


def test_a_request_waits_because_no_extension_is_connected(harness: Harness) -> None:
    assert why(harness) == "No extension is connected."


def test_a_request_waits_because_no_extension_is_capable(harness: Harness) -> None:
    harness.connect("e1", "flux")
    assert why(harness) == "No connected extension supports the model dall-e-3. Supported are: flux."


def test_a_request_waits_because_no_extension_is_available(harness: Harness) -> None:
    harness.heartbeat(harness.connect(), available=False)
    assert why(harness) == "The connected extensions that support the model are not accepting work at the moment."


def test_a_request_waits_for_a_paused_extension(harness: Harness) -> None:
    holder, job = harness.connect_and_start()
    harness.report_failure(holder, job, "Too many requests", retry_after_ms=60_000)
    assert why(harness).endswith(" s after a failure: The site that it uses limits its requests (ERR_RATE_LIMIT).")


@pytest.mark.parametrize(
    ("count", "reason"),
    [
        (1, "The extension that supports the model is busy with other requests."),
        (2, "All 2 extensions that support the model are busy with other requests."),
    ],
)
def test_a_request_waits_for_busy_extensions(harness: Harness, count: int, reason: str) -> None:
    for n in range(count):
        harness.connect_and_start(f"e{n}")
    assert why(harness) == reason


def test_a_request_waits_for_an_extension_that_is_tested_with_another_request(harness: Harness) -> None:
    harness.connect(max_concurrent=4)
    harness.update_extension(failures=1)
    harness.submit_and_start()
    assert why(harness) == "The extension that supports the model is busy with other requests."


def test_a_request_about_to_be_assigned_has_no_reason_to_wait(harness: Harness) -> None:
    harness.connect()
    assert why(harness) == "The request is about to be assigned."
