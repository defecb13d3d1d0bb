"""What operators have paused, as rows."""

from __future__ import annotations

import dataclasses

import pytest
from sqlalchemy import select

from app.db import pauses
from app.db.engine import Database
from app.db.tables import jobs
from app.domain.pauses import EVERYTHING, PauseKind, PauseTarget, QueuePause
from tests.support.job_factory import add_job, reload_job, update_job

ANN = PauseTarget(PauseKind.USER, "ann")
NOTE = QueuePause(ANN, 1_000, until=9_000, note="too much", paused_by="root")


def put(database: Database, pause: QueuePause) -> QueuePause:
    return database.write(lambda tx: pauses.put(tx, pause))


def test_a_pause_is_kept_until_it_is_removed(database: Database) -> None:
    assert put(database, NOTE) == NOTE
    assert list(database.read(pauses.every)) == [NOTE]
    assert database.write(lambda tx: pauses.remove(tx, ANN)) == NOTE
    assert database.write(lambda tx: pauses.remove(tx, ANN)) is None
    assert list(database.read(pauses.every)) == []


def test_a_second_pause_changes_all_but_the_beginning(database: Database) -> None:
    put(database, NOTE)
    later = QueuePause(ANN, 5_000, note="still too much", paused_by="ben")
    assert put(database, later) == dataclasses.replace(later, paused_at=1_000)


def test_a_user_is_paused_whom_an_operator_paused(database: Database) -> None:
    put(database, NOTE)
    put(database, dataclasses.replace(NOTE, target=PauseTarget(PauseKind.MODEL, "ben")))
    assert database.read(lambda c: [pauses.user_is_paused(c, user) for user in ("ann", "ben")]) == [True, False]


def test_only_pauses_whose_end_has_come_are_over(database: Database) -> None:
    put(database, NOTE)
    put(database, QueuePause(EVERYTHING, 1_000))
    put(database, QueuePause(PauseTarget.of_model("Flux"), 1_000, until=2**53))
    assert database.read(pauses.over) == [NOTE]


def test_a_pause_that_was_made_longer_is_not_removed_at_its_former_end(database: Database) -> None:
    put(database, dataclasses.replace(NOTE, until=10_000))
    assert database.write(lambda tx: pauses.remove(tx, ANN, until=9_000)) is None
    assert database.write(lambda tx: pauses.remove(tx, ANN, until=10_000)) is not None


def make_up(
    database: Database, pause: QueuePause, ended_at: int, after: str = "", limit: int = 9, **others: int
) -> str | None:
    return database.write(lambda tx: pauses.make_up_for(tx, pause, ended_at, others, after, limit))


@pytest.mark.parametrize(
    ("queued_at", "then"),
    [(500, 1_500), (1_000, 2_000), (1_700, 2_000), (2_000, 2_000), (2_500, 2_500)],
)
def test_the_time_of_a_pause_does_not_count_as_waiting(database: Database, queued_at: int, then: int) -> None:
    job = add_job(database)
    update_job(database, job, queued_at=queued_at)
    assert make_up(database, QueuePause(EVERYTHING, 1_000), 2_000) is None
    assert reload_job(database, job).queued_at == then


def test_only_the_named_model_is_made_up_for(database: Database) -> None:
    for model in ("Flux", "other"):
        update_job(database, add_job(database, model=model), queued_at=0)
    make_up(database, QueuePause(PauseTarget.of_model("flux"), 0), 5)
    assert database.read(lambda c: {*c.execute(select(jobs.c.model, jobs.c.queued_at))}) == {("Flux", 5), ("other", 0)}


def test_the_time_of_another_pause_is_left_to_that(database: Database) -> None:
    for model in ("Flux", "other"):
        update_job(database, add_job(database, model=model), queued_at=0)
    make_up(database, QueuePause(EVERYTHING, 10), 100, flux=30)
    assert database.read(lambda c: {*c.execute(select(jobs.c.model, jobs.c.queued_at))}) == {
        ("Flux", 20),
        ("other", 90),
    }


def test_many_jobs_are_made_up_for_by_and_by_and_each_once(database: Database) -> None:
    made = sorted(add_job(database).id for _ in range(5))
    database.write(lambda tx: tx.connection.execute(jobs.update().values(queued_at=0)))
    pause = put(database, QueuePause(EVERYTHING, 10))
    last = make_up(database, pause, 20, limit=2)
    assert last == made[1]
    begun = database.write(lambda tx: pauses.begin_end(tx, EVERYTHING))
    assert begun is not None
    assert (begun[0], begun[2]) == (pause, last), "another process continues there"
    assert make_up(database, pause, 20, last, limit=9) is None
    assert {*database.read(lambda c: c.execute(select(jobs.c.queued_at)).scalars())} == {10}
    assert database.read(pauses.over) == [pause]
    again = database.write(lambda tx: pauses.begin_end(tx, EVERYTHING))
    assert again is not None
    assert again[1] == begun[1], "its end stays the same"
