"""Copies and erasure of what is stored about a user, on both databases."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from app.db import personal_data as statements
from app.db.jobs import Job
from app.db.personal_data import PARTS
from app.db.tables import files, jobs
from app.domain.access import Role, Scope
from app.domain.batches import BatchItem, NewBatch
from app.domain.errors import NotFound
from app.domain.states import Status
from app.services import personal_data
from tests.support.downloads import PNG
from tests.support.harness import PICTURE, Harness
from tests.support.webhooks import Receiver, deliver


@pytest.fixture(autouse=True)
def picture(harness: Harness) -> None:
    """A picture that can be fetched."""
    harness.bench.fetch.answers[PICTURE] = PNG


def completed(harness: Harness, user: str) -> Job:
    holder, job = harness.connect_and_start(user=user)
    harness.report_image(holder, job)
    harness.run_downloads()
    return harness.reload(job)


def busy(harness: Harness, user: str) -> None:
    """Make one of each other thing that a user has, and three requests that wait."""
    harness.services.accounts.create_user(user, Role.USER)
    harness.services.accounts.create_key(user, [Scope.READ], "laptop")
    Receiver.create(harness, user=user)
    harness.submit(user=user)
    harness.services.batch_creation.create(NewBatch(user, [BatchItem("a"), BatchItem("b")]), "c-1")
    deliver(harness)


def both(harness: Harness) -> None:
    for user in ("ann", "bob"):
        completed(harness, user)
    for user in ("ann", "bob"):
        busy(harness, user)


def everything(harness: Harness, user: str) -> dict[str, list[dict[str, Any]]]:
    return {part: list(harness.services.personal_data.rows(user, part)) for part in PARTS}


def test_a_copy_has_everything_of_the_user_and_nothing_of_others(harness: Harness) -> None:
    both(harness)
    found = everything(harness, "ann")
    assert {row["user_id"] for row in found["requests"]} == {"ann"}
    assert len(found["requests"]) == 4
    assert {row["status"] for row in found["requests"]} == {"accepted", "completed"}
    ids = {row["id"] for row in found["requests"]}
    assert {row["job_id"] for row in found["events"]} == ids
    assert [row["name"] for row in found["keys"]] == ["laptop"]
    assert all(
        found[part] for part in ("user", "pictures", "batches", "batch_events", "webhooks", "webhook_deliveries")
    )
    assert "hash" not in found["keys"][0]
    assert list(harness.services.personal_data.files("ann")) == [row["file"] for row in found["pictures"]]


def test_rows_are_read_in_pages(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statements, "PAGE", 2)
    made = [harness.submit().id for _ in range(5)]
    assert [row["id"] for row in harness.services.personal_data.rows("ann", "requests")] == made


def test_erasing_a_user_leaves_nothing_of_it_and_all_of_others(harness: Harness) -> None:
    both(harness)
    others = everything(harness, "bob")
    kept = list(harness.services.personal_data.files("bob"))
    assert harness.services.personal_data.erase("ann") == 4
    assert {part: rows for part, rows in everything(harness, "ann").items() if rows} == {}
    assert everything(harness, "bob") == others
    assert harness.bench.files() == kept
    with pytest.raises(NotFound):
        harness.services.personal_data.check("ann")


def test_a_request_in_progress_is_cancelled_and_its_late_result_changes_nothing(harness: Harness) -> None:
    holder, job = harness.connect_and_start(user="ann")
    harness.services.personal_data.erase("ann")
    assert harness.bench.bus.sent("cancel_generation")
    with pytest.raises(Exception, match="do not hold"):
        harness.report_image(holder, job)
    assert harness.bench.files() == []


def test_an_erasure_that_was_killed_goes_on(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(BaseException):
        pass

    def killed(*_: object) -> None:
        raise Killed

    monkeypatch.setattr(statements, "PAGE", 1)
    for _ in range(3):
        completed(harness, "ann")
    with monkeypatch.context() as patched:
        patched.setattr(personal_data, "delete_files", killed)
        with pytest.raises(Killed):
            harness.services.personal_data.erase("ann")
    assert len(harness.bench.files()) == 3
    assert harness.services.personal_data.erase("ann") == 2
    harness.services.cleanup.sweep()
    assert harness.bench.files() == []
    assert harness.bench.database.read(lambda c: c.execute(select(files.c.name)).all()) == []
    assert harness.bench.database.read(lambda c: c.execute(select(jobs.c.id)).all()) == []


def test_closing_an_account_leaves_requests_and_pictures(harness: Harness) -> None:
    completed(harness, "ann")
    busy(harness, "ann")
    harness.services.personal_data.close_account("ann")
    found = everything(harness, "ann")
    assert found["user"] == found["keys"] == []
    assert len(found["requests"]) == 4
    assert any(row["status"] == Status.COMPLETED for row in found["requests"])
    assert len(harness.bench.files()) == 1
