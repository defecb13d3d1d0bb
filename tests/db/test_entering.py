"""A new request and its first event, on both databases."""

from __future__ import annotations

import pytest
from sqlalchemy.exc import IntegrityError

from app.db import entering, events, jobs
from app.db.engine import Database, Transaction
from app.db.jobs import Job
from app.domain.events import ImageGenerationRequestedEvent
from app.domain.states import Status
from tests.support.statements import noted

ID = "550e8400-e29b-41d4-a716-446655440000"
ORDER = {
    "correlation_id": "c-1",
    "user_id": "ann",
    "model": "m",
    "prompt": "a fox: 100 % ä \U0001f98a, :status %(status)s ?",
    "parameters": {"size": [1, 2.5, None], "deep": {"ä": True}},
    "number_of_images": 2,
    "last_event": 1,
    "place": 2**40,
    "queue_until": 2**45,
    "deadline_at": None,
}


def enter(tx: Transaction, **more: object) -> Job:
    return entering.enter(tx, ID, {**ORDER, **more}, ImageGenerationRequestedEvent("m", "ann"))


def test_what_it_answers_is_what_stands_in_the_database(database: Database) -> None:
    entered = database.write(enter)
    assert database.read(lambda c: jobs.find(c, ID)) == entered
    assert (entered.status, entered.version, entered.attempt, entered.handed_over) == (Status.ACCEPTED, 1, 0, False)
    assert {name: getattr(entered, name) for name in ORDER} == ORDER


def test_its_first_event_is_of_the_same_moment(database: Database) -> None:
    entered = database.write(enter)
    (logged,) = database.read(lambda c: events.after(c, ID, 0))
    assert (logged.seq, logged.type, logged.status) == (1, "ImageGenerationRequestedEvent", "accepted")
    assert logged.at == entered.created_at == entered.updated_at == entered.due_at
    assert logged.data == {"model": "m", "user_id": "ann"}


def test_both_are_there_or_neither(database: Database) -> None:
    database.write(enter)
    with pytest.raises(IntegrityError):
        database.write(lambda tx: enter(tx, prompt="once more"))
    assert len(database.read(lambda c: events.after(c, ID, 0))) == 1


def test_postgresql_is_told_both_at_once(database: Database) -> None:
    with noted("INSERT") as told:
        database.write(enter)
    assert len(told) == (1 if database.engine.dialect.name == "postgresql" else 2)
