"""Which jobs each query finds, in which order, and which it leaves out."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from app.db import jobs, queue
from app.db.engine import Database
from app.db.jobs import Job
from app.domain.states import Status, Step
from tests.support.interleaving import on_postgresql, overlapping
from tests.support.job_factory import add_job, reload_job

FUTURE = 2**45

next_download = partial(jobs.next_download, per_extension=2, per_host=3)


def moved(database: Database, job: Job, *path: Step, **values: Any) -> Job:
    """Take these steps with the job; the last of them sets `values`."""
    *before, last = path
    for step in before:
        database.write(partial(jobs.move, job_id=job.id, step=step))
    after = database.write(partial(jobs.move, job_id=job.id, step=last, **values))
    assert after is not None
    return after


def position(database: Database, job: Job, most: int = 10) -> int:
    return database.read(lambda c: jobs.ahead_of(c, job, most)[0])


def downloading(database: Database, **values: Any) -> Job:
    return moved(database, add_job(database), Step.ASSIGN, Step.GENERATED, **values)


def test_jobs_are_overdue_after_their_deadline(database: Database) -> None:
    later, sooner = add_job(database, deadline_at=2), add_job(database, deadline_at=1)
    add_job(database, deadline_at=FUTURE)
    add_job(database)
    moved(database, add_job(database, deadline_at=1), Step.CANCEL)
    assert database.read(lambda c: jobs.late(c, 10)) == [sooner, later]
    assert database.read(lambda c: jobs.late(c, 1)) == [sooner]


@pytest.mark.parametrize("path", [(), (Step.ASSIGN,), (Step.ASSIGN, Step.GENERATED)], ids=len)
def test_every_open_job_can_be_overdue(database: Database, path: tuple[Step, ...]) -> None:
    job = add_job(database, deadline_at=1)
    if path:
        job = moved(database, job, *path)
    assert database.read(lambda c: jobs.late(c, 10)) == [job]


def test_long_waiting_jobs_of_one_model_are_listed_longest_first(database: Database) -> None:
    at_limit, longest = add_job(database, queued_at=1_000), add_job(database, queued_at=1)
    add_job(database, queued_at=1_001)
    add_job(database, queued_at=1, model="flux")
    add_job(database, queued_at=1, held_since=1)
    moved(database, add_job(database, queued_at=1), Step.ASSIGN)
    assert database.read(lambda c: jobs.waiting_since(c, "dall-e-3", 1_000, 10)) == [longest, at_limit]
    assert database.read(lambda c: jobs.waiting_since(c, "dall-e-3", 1_000, 1)) == [longest]
    assert database.read(lambda c: jobs.waiting_since(c, "another", 1_000, 10)) == []


def test_the_position_counts_waiting_jobs_of_the_same_model_before_this_one(database: Database) -> None:
    first, job, last = (add_job(database, virtual_start=start) for start in (1, 2, 3))
    add_job(database, model="flux")
    moved(database, add_job(database), Step.ASSIGN)
    assert [position(database, each) for each in (first, job, last)] == [0, 1, 2]
    assert position(database, last, most=1) == 1


def test_jobs_with_the_same_virtual_start_are_ordered_by_id(database: Database) -> None:
    made = sorted((add_job(database) for _ in range(3)), key=lambda job: job.id)
    assert [position(database, job) for job in made] == [0, 1, 2]


def test_the_next_download_is_the_one_that_has_been_due_longest(database: Database) -> None:
    add_job(database, due_at=1)
    moved(database, add_job(database, due_at=1), Step.ASSIGN)
    moved(database, downloading(database, due_at=1), Step.FAIL)
    downloading(database, due_at=FUTURE)
    assert database.read(jobs.any_download_due) is False
    assert database.write(next_download) is None
    second, first = downloading(database, due_at=6), downloading(database, due_at=5)
    assert database.read(jobs.any_download_due) is True
    assert database.write(next_download) == (first, True)
    moved(database, first, Step.FETCH, due_at=FUTURE)
    assert database.write(next_download) == (second, False)


def running(database: Database, **values: Any) -> Job:
    return downloading(database, **{"due_at": FUTURE, "lease": "lease", **values})


@pytest.mark.parametrize(
    ("column", "most"), [("holder", 2), ("source_host", 3)], ids=["of an extension", "from a host"]
)
def test_downloads_beyond_a_limit_are_left_to_others(database: Database, column: str, most: int) -> None:
    for count in range(most):
        first = downloading(database, **{column: "slow"}, due_at=1)
        due = database.write(next_download)
        assert due is not None, f"{count} running ones are not too many"
        moved(database, first, Step.FETCH, due_at=FUTURE, lease=f"lease-{count}")
    for due_at in range(1, 20):
        downloading(database, **{column: "slow"}, due_at=due_at)
    assert database.write(next_download) is None
    other, unknown = downloading(database, **{column: "other"}, due_at=20), downloading(database, due_at=21)
    assert database.write(next_download) == (other, True)
    moved(database, other, Step.FETCH, due_at=FUTURE)
    assert database.write(next_download) == (unknown, False)


def test_only_running_downloads_count_against_the_limits(database: Database) -> None:
    ended = running(database, holder="e1")
    moved(database, ended, Step.STORE, lease=None)
    moved(database, running(database, holder="e1"), Step.FAIL)
    downloading(database, holder="e1", due_at=FUTURE)  # waits to be tried again
    crashed = running(database, holder="e1", due_at=1)  # its lease has expired
    running(database, holder="e1")
    assert database.write(next_download) == (crashed, False)


def test_only_models_of_waiting_jobs_are_listed(database: Database) -> None:
    assert database.read(queue.models_waited_for) == []
    add_job(database, model="b", due_at=FUTURE)
    moved(database, add_job(database, model="a"), Step.ASSIGN)
    moved(database, add_job(database, model="c"), Step.CANCEL)
    assert database.read(queue.models_waited_for) == ["b"]


def test_waiting_jobs_are_counted_up_to_a_limit(database: Database) -> None:
    for due_at in (1, FUTURE):
        add_job(database, due_at=due_at)
    moved(database, add_job(database), Step.ASSIGN)
    assert [database.read(partial(jobs.count_waiting, most=most)) for most in (1, 2, 9)] == [1, 2, 2]


def test_a_job_that_is_not_due_does_not_count_as_waiting(database: Database) -> None:
    job = add_job(database, due_at=FUTURE)
    moved(database, add_job(database), Step.ASSIGN)
    assert database.read(jobs.any_waiting) is False
    moved(database, moved(database, job, Step.ASSIGN), Step.REQUEUE, due_at=1)
    assert database.read(jobs.any_waiting) is True


def test_a_users_jobs_are_listed_newest_first_page_by_page(database: Database) -> None:
    made = [f"{number:036}" for number in range(4)]
    for job_id in made:
        add_job(database, id=job_id)
    add_job(database, user_id="ben")
    moved(database, reload_job(database, add_job(database, id="f" * 36)), Step.CANCEL)

    def page(status: Status | None, before: str | None, limit: int) -> list[str]:
        return [job.id for job in database.read(lambda c: jobs.of_user(c, "ann", status, before, limit))]

    assert page(None, None, 2) == ["f" * 36, made[3]]
    assert page(None, made[3], 2) == [made[2], made[1]]
    assert page(Status.ACCEPTED, None, 9) == made[::-1]
    assert page(Status.CANCELLED, None, 9) == ["f" * 36]


def test_the_jobs_of_all_users_are_listed_by_status(database: Database) -> None:
    open_job, ended = add_job(database), moved(database, add_job(database, user_id="ben"), Step.CANCEL)

    def listed(status: Status | None) -> list[Job]:
        return database.read(lambda c: jobs.of_all_users(c, status, None, 9))

    assert listed(Status.ACCEPTED) == [open_job]
    assert listed(Status.CANCELLED) == [ended]
    assert listed(Status.FAILED) == []
    assert listed(None) == sorted([open_job, ended], key=lambda job: job.id, reverse=True)


@pytest.mark.parametrize(
    ("held", "takes"),
    [
        ({}, True),
        ({"lease": "right", "attempt": 3}, True),
        ({"lease": "wrong", "attempt": 3}, False),
        ({"lease": "right", "attempt": 2}, False),
        ({"lease": None}, False),
        ({"avoid": None, "lease": "right"}, True),
    ],
    ids=str,
)
def test_a_step_is_taken_if_every_column_is_as_expected(database: Database, held: dict[str, Any], takes: bool) -> None:
    job = moved(database, add_job(database), Step.ASSIGN, lease="right", attempt=3)
    after = database.write(lambda tx: jobs.move(tx, job.id, Step.PROGRESS, held, progress=7))
    assert (after is not None) is takes
    assert reload_job(database, job) == (after or job)


def test_a_step_moves_one_job_and_no_other(database: Database) -> None:
    job, other = add_job(database), add_job(database)
    moved(database, job, Step.CANCEL)
    assert (reload_job(database, job).status, reload_job(database, other)) == (Status.CANCELLED, other)


@on_postgresql
def test_a_step_that_waited_for_another_reads_the_job_as_that_left_it(database: Database) -> None:
    job = moved(database, add_job(database), Step.ASSIGN, lease="first")
    renewed, late = overlapping(
        database,
        lambda tx: jobs.move(tx, job.id, Step.PROGRESS, {"lease": "first"}, lease="second"),
        lambda: database.write(lambda tx: jobs.move(tx, job.id, Step.FAIL, {"lease": "first"})),
    )
    assert late is None
    assert reload_job(database, job) == renewed
