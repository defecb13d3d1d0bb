from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
from sqlalchemy import text

from app.db import jobs, queue, usage
from app.db.engine import Database, Transaction
from app.db.migrate import is_current, upgrade
from app.db.tables import jobs as table
from app.domain.fair_queueing import Priority
from app.domain.states import Status, Step

next_download = partial(jobs.next_download, per_extension=9, per_host=9)


def add(database: Database, **values: object) -> jobs.Job:
    order = {
        "correlation_id": "c-1",
        "user_id": "ann",
        "model": "dall-e-3",
        "prompt": "a fox",
        "parameters": {"width": 64},
        "number_of_images": 1,
    }

    def work(tx: Transaction) -> jobs.Job:
        return jobs.add(tx, str(uuid.uuid4()), {**order, **values})

    return database.write(work)


def waiting(database: Database, *models: str, most: int = 10) -> list[str]:
    """The first jobs of the queues, of these models or of any."""
    asked = partial(queue.first_of, keys=models, limit=most) if models else partial(queue.some, limit=most)
    return [each.id for each in database.read(asked)]


def test_a_new_job_waits_at_its_position(database: Database) -> None:
    job = add(database)
    assert job.status is Status.ACCEPTED
    assert waiting(database) == [job.id]
    assert database.read(lambda c: jobs.find(c, job.id)) == job


def test_a_job_has_the_columns_of_its_row_in_their_order() -> None:
    *columns, computed = jobs.Job._fields
    assert [column.name for column in table.c] == columns
    assert computed == "notify"


def test_only_one_of_many_concurrent_callers_takes_the_same_step(database: Database) -> None:
    job = add(database)

    def take(n: int) -> bool:
        return database.write(lambda tx: jobs.move(tx, job.id, Step.ASSIGN, holder=f"e{n}")) is not None

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(take, range(8))) == [False] * 7 + [True]


def test_a_step_from_the_wrong_state_changes_nothing(database: Database) -> None:
    job = add(database)
    assert database.write(lambda tx: jobs.move(tx, job.id, Step.STORE)) is None
    assert database.read(lambda c: jobs.find(c, job.id)) == job


def test_a_step_with_the_wrong_lease_changes_nothing(database: Database) -> None:
    job = add(database)
    database.write(lambda tx: jobs.move(tx, job.id, Step.ASSIGN, lease="right"))
    late = database.write(lambda tx: jobs.move(tx, job.id, Step.GENERATED, {"lease": "wrong"}))
    assert late is None


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_concurrent_workers_claim_different_downloads(database: Database) -> None:
    with ThreadPoolExecutor(1) as pool:
        for _ in range(2):
            job_id = add(database).id
            database.write(partial(jobs.move, job_id=job_id, step=Step.ASSIGN))
            database.write(partial(jobs.move, job_id=job_id, step=Step.GENERATED))

        def look_twice(tx: Transaction) -> list[tuple[jobs.Job, bool] | None]:
            return [next_download(tx), pool.submit(database.write, next_download).result(30)]

        first, second = database.write(look_twice)
    assert first is not None
    assert second is not None
    assert first[0].id != second[0].id
    assert (first[1], second[1]) == (True, True)


def test_next_download_reports_whether_more_are_due(database: Database) -> None:
    assert database.write(next_download) is None
    for more in (False, True):
        job_id = add(database).id
        database.write(partial(jobs.move, job_id=job_id, step=Step.ASSIGN))
        database.write(partial(jobs.move, job_id=job_id, step=Step.GENERATED))
        due = database.write(next_download)
        assert due is not None
        assert due[1] is more


def test_each_model_is_listed_once_however_many_jobs_wait(database: Database) -> None:
    for model in ("b", "a", "b", "c"):
        add(database, model=model)
    assert database.read(queue.models_waited_for) == ["a", "b", "c"]


def test_the_queue_is_read_in_order_for_the_given_models(database: Database) -> None:
    late, early, urgent = (
        add(database, virtual_start=9),
        add(database, virtual_start=5),
        add(database, priority=0, virtual_start=9),
    )
    other, held = add(database, model="x", priority=2), add(database, held_since=1)
    in_order = [urgent.id, early.id, late.id]
    assert waiting(database, "dall-e-3") == in_order
    assert waiting(database, "dall-e-3", "x") == [*in_order, other.id]
    assert waiting(database, "dall-e-3", "x", most=2) == in_order[:2]
    assert {*waiting(database)} == {*in_order, other.id}
    assert held.id not in waiting(database)


def test_a_held_job_is_not_assigned(database: Database) -> None:
    job = add(database, held_since=1)
    assert database.write(lambda tx: jobs.move(tx, job.id, Step.ASSIGN, {"held_since": None})) is None


def test_the_virtual_time_of_a_queue_follows_what_is_handed_out_and_never_goes_back(database: Database) -> None:
    add(database, virtual_start=7, model="X"), add(database, virtual_start=3, model="x"), add(database, virtual_start=5)
    [three, seven] = database.read(lambda c: queue.first_of(c, ["x"], 9))
    database.write(lambda tx: queue.advance(tx, [seven]))
    database.write(lambda tx: queue.advance(tx, [three]))
    starts = [
        database.read(partial(usage.virtual_start, user_id="new", key=model, priority=Priority.NORMAL, weight=1))
        for model in ("x", "y")
    ]
    assert starts == [7, 0]
    assert [each.served_at > 0 for each in database.read(lambda c: queue.some(c, 9))] == [False, True, True]


def test_after_commit_actions_are_not_run_when_the_transaction_fails(database: Database) -> None:
    done: list[str] = []

    def work(tx: Transaction) -> None:
        tx.after_commit(lambda: done.append("committed"))
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        database.write(work)
    assert done == []


def test_migrations_run_once(database: Database) -> None:
    url = database.reader.url.render_as_string(hide_password=False)
    assert upgrade(url) is False
    assert is_current(url)
    assert database.read(lambda c: c.execute(text("SELECT count(*) FROM jobs")).scalar_one()) == 0
