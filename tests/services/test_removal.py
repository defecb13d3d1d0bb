"""Removing pictures, on both databases."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import select

from app.adapters.store import LocalStore, StoreError
from app.db import credentials, usage
from app.db.jobs import Job
from app.db.tables import files
from app.domain.access import Role
from app.domain.batches import BatchDefaults, BatchItem, NewBatch
from app.domain.errors import Gone, InvalidBatch, InvalidRequest, NoPictures, NotCached, NotFound
from app.domain.image_request import CacheMode
from app.domain.images import Rendition, rendition_name, stored_names
from app.domain.retention import DAY_MS, Retention
from app.domain.states import Status
from app.services import removal
from tests.support.downloads import PNG
from tests.support.harness import PICTURE, Harness

TIERS = ("free", "standard", "premium")


@pytest.fixture(autouse=True)
def picture(harness: Harness) -> None:
    """A picture that can be fetched."""
    harness.bench.fetch.answers[PICTURE] = PNG


def completed(harness: Harness, **request: Any) -> Job:
    """A request that was made."""
    holder, job = harness.connect_and_start(**request)
    harness.report_image(holder, job)
    harness.run_downloads()
    assert harness.reload(job).status is Status.COMPLETED
    return harness.reload(job)


def keeping(harness: Harness, text: str) -> Harness:
    return harness.with_settings(retention=Retention.parse(text, TIERS))


def enlisted(harness: Harness) -> list[str]:
    return list(harness.bench.database.read(lambda c: c.execute(select(files.c.name)).scalars()))


def file_of(harness: Harness, job: Job) -> str:
    [image] = harness.services.lookup.details(job.id).images
    return image.file


def days_after(job: Job, days: int) -> int:
    return (job.finished_at or 0) + days * DAY_MS


def test_pictures_are_kept_for_ever_by_default(harness: Harness) -> None:
    job = completed(harness)
    assert job.remove_at is None
    assert harness.services.removal.sweep(days_after(job, 100_000)) == 0
    assert len(harness.bench.files()) == 1


@pytest.mark.parametrize(("retention", "keep", "days"), [("30", None, 30), ("30", 5, 5), ("off", 9, 9), ("*=7", 7, 7)])
def test_pictures_are_removed_when_their_days_are_over(
    harness: Harness, retention: str, keep: int | None, days: int
) -> None:
    harness = keeping(harness, retention)
    job = completed(harness, keep_days=keep)
    assert job.remove_at == days_after(job, days)
    file = file_of(harness, job)
    assert harness.services.removal.sweep(days_after(job, days) - 1) == 0
    assert harness.services.lookup.picture(file) is not None
    assert harness.services.removal.sweep(days_after(job, days)) == 1
    assert harness.bench.files() == []
    assert enlisted(harness) == []
    with pytest.raises(Gone, match="removed at"):
        harness.services.lookup.picture(file)
    removed = harness.reload(job)
    assert (removed.status, removed.version) == (Status.COMPLETED, job.version + 1)
    assert removed.pictures_removed_at is not None
    event = harness.events(job)[-1]
    assert (event.type, event.data, event.status) == ("ImagesRemovedEvent", {"reason": "expired"}, "completed")
    assert harness.services.removal.sweep(days_after(job, days)) == 0


def test_the_tier_at_the_end_of_a_request_decides(harness: Harness) -> None:
    harness = keeping(harness.with_settings(auth_required=True), "free=7,premium=off,*=30")
    add = harness.services.accounts.create_user
    for user, tier in (("fred", "free"), ("petra", "premium"), ("sam", None)):
        add(user, Role.USER, tier)
    made = {user: completed(harness, user=user) for user in ("fred", "petra", "sam")}
    assert [job.remove_at and job.remove_at - (job.finished_at or 0) for job in made.values()] == [
        7 * DAY_MS,
        None,
        30 * DAY_MS,
    ]
    with pytest.raises(InvalidRequest, match="keep is 8 days"):
        harness.submit(user="fred", keep_days=8)
    holder, job = harness.connect_and_start(user="petra", keep_days=100)
    harness.bench.database.write(lambda tx: credentials.set_tier(tx, "petra", "free"))
    harness.report_image(holder, job)
    harness.run_downloads()
    job = harness.reload(job)
    assert job.remove_at == days_after(job, 7)


def test_items_of_a_batch_have_their_own_days_or_those_of_its_defaults(harness: Harness) -> None:
    harness = keeping(harness, "30")
    create = harness.services.batch_creation.create
    items = [BatchItem("a", line=1), BatchItem("b", keep_days=3, line=2)]
    batch = create(NewBatch("ann", items, BatchDefaults(keep_days=20)), "c-1").batch
    found = harness.services.batch_results.items(batch.id)
    assert [item.job.keep_days for item in found] == [20, 3]
    with pytest.raises(InvalidBatch) as refused:
        create(NewBatch("ann", [*items, BatchItem("c", keep_days=31, line=3)]), "c-1")
    [error] = refused.value.errors
    assert (error.line, error.field) == (3, "keep")


def test_an_owner_removes_pictures_at_once_and_again(harness: Harness) -> None:
    job = completed(harness)
    first = harness.services.removal.remove(job.id, "ann")
    again = harness.services.removal.remove(job.id)
    assert first.pictures_removed_at == again.pictures_removed_at is not None
    assert harness.bench.files() == []
    assert harness.events(job)[-1].data == {"reason": "requested"}
    assert harness.event_types(job).count("ImagesRemovedEvent") == 1


def test_requests_of_others_are_not_found(harness: Harness) -> None:
    job = completed(harness)
    with pytest.raises(NotFound):
        harness.services.removal.remove(job.id, "bob")
    assert len(harness.bench.files()) == 1


def test_only_completed_requests_have_pictures_to_remove(harness: Harness) -> None:
    waiting, cancelled = harness.submit(), harness.submit()
    harness.services.cancellation.cancel(cancelled.id)
    with pytest.raises(NoPictures, match="still accepted: cancel it"):
        harness.services.removal.remove(waiting.id)
    with pytest.raises(NoPictures, match="never completed"):
        harness.services.removal.remove(cancelled.id)


def test_renditions_are_deleted_with_their_picture(harness: Harness) -> None:
    job = completed(harness)
    file = file_of(harness, job)
    assert set(stored_names(file)) == {file, *(rendition_name(file, each) for each in Rendition)}
    for name in stored_names(file)[1:]:
        with harness.bench.store.stage() as staged:
            staged.file.write(b"smaller")
            harness.bench.store.publish(staged, name)
    harness.services.removal.remove(job.id)
    assert harness.bench.files() == []


def test_files_that_a_crash_left_are_deleted_by_the_cleanup(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    job = completed(harness, keep_days=1)
    file = file_of(harness, job)
    with monkeypatch.context() as patched:
        patched.setattr(removal, "delete_files", lambda *_: None)  # killed before it
        assert harness.services.removal.sweep(days_after(job, 1)) == 1
    assert harness.bench.files() == [file]
    with pytest.raises(Gone):  # although the file is there
        harness.services.lookup.picture(file)
    harness.services.cleanup.sweep()
    assert harness.bench.files() == []
    assert enlisted(harness) == []


def test_a_disk_that_fails_keeps_the_files_on_the_list(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise StoreError("The disk is read-only.")

    job = completed(harness)
    file = file_of(harness, job)
    with monkeypatch.context() as patched:
        patched.setattr(LocalStore, "delete", fail)
        assert harness.services.removal.remove(job.id).pictures_removed_at is not None
    assert enlisted(harness) == [file]
    harness.services.cleanup.sweep()
    assert harness.bench.files() == []


def test_removed_pictures_count_no_longer_in_the_quota(harness: Harness) -> None:
    job = completed(harness)
    stored: Callable[[], int] = lambda: harness.bench.database.read(lambda c: usage.bytes_stored(c, "ann"))  # noqa: E731
    assert stored() > 0
    harness.services.removal.remove(job.id)
    assert stored() == 0


def test_a_sweep_takes_all_that_is_due_in_bounded_transactions(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(removal, "BATCH", 2)
    made = [completed(harness, keep_days=1) for _ in range(5)]
    assert harness.services.removal.sweep(days_after(made[-1], 1)) == 5
    assert harness.bench.files() == []


def test_two_sweeps_at_once_remove_each_request_once(harness: Harness) -> None:
    made = [completed(harness, keep_days=1) for _ in range(4)]
    now = days_after(made[-1], 1)
    with ThreadPoolExecutor(2) as pool:
        counts = list(pool.map(lambda _: harness.services.removal.sweep(now), range(2)))
    assert sum(counts) == 4
    for job in made:
        assert harness.event_types(job).count("ImagesRemovedEvent") == 1


def test_two_removals_at_once_make_one_event(harness: Harness) -> None:
    job = completed(harness)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: harness.services.removal.remove(job.id), range(4)))
    assert harness.event_types(job).count("ImagesRemovedEvent") == 1


def test_a_removed_request_is_no_source_for_identical_ones(harness: Harness) -> None:
    job = completed(harness)
    harness.services.removal.remove(job.id)
    with pytest.raises(NotCached):
        harness.submit(cache=CacheMode.ONLY)
    assert harness.submit(cache=CacheMode.PREFER).follows is None


def test_identical_requests_keep_pictures_and_days_of_their_own(harness: Harness) -> None:
    job = completed(harness)
    follower = harness.reload(harness.submit(cache=CacheMode.PREFER, keep_days=2))
    assert follower.status is Status.COMPLETED
    assert follower.remove_at == days_after(follower, 2)
    harness.services.removal.remove(job.id)
    assert harness.bench.files() == [file_of(harness, follower)]
    assert harness.services.lookup.picture(file_of(harness, follower)) is not None


def test_followers_of_a_request_whose_pictures_are_removed_meanwhile_are_made_themselves(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = completed(harness)
    stored = harness.services.reuse._stored

    def removed_after_reading(leader: Job) -> Any:
        found = stored(leader)
        harness.services.removal.remove(leader.id)
        return found

    monkeypatch.setattr(harness.services.reuse, "_stored", removed_after_reading)
    follower = harness.reload(harness.submit(cache=CacheMode.PREFER))
    assert (follower.status, follower.follows, follower.cached_from) == (Status.ACCEPTED, None, None)
    assert harness.assign() == 1
    monkeypatch.undo()
    assert harness.reload(job).followed is False
    harness.services.cleanup.sweep(days_after(job, 1))
    assert harness.bench.files() == []


def test_followers_find_removed_pictures_gone_before_they_are_read(harness: Harness) -> None:
    leader = harness.connect_and_start()
    follower = harness.submit(cache=CacheMode.PREFER)
    assert follower.follows == leader[1].id
    harness.report_image(*leader)
    harness.run_downloads()
    harness.services.removal.remove(leader[1].id)
    harness.services.reuse.resolve_all()
    assert harness.reload(follower).follows is None
    assert harness.bench.files() == []


def test_webhooks_and_batches_do_not_take_a_removal_for_an_end(harness: Harness) -> None:
    batch = harness.services.batch_creation.create(NewBatch("ann", [BatchItem("a fox")]), "c-1").batch
    holder = harness.connect()
    assert harness.assign() == 1
    [item] = [each.job for each in harness.services.batch_results.items(batch.id)]
    harness.services.generation.offer_received(item.id, item.lease or "")
    harness.report_image(holder, item)
    harness.run_downloads()
    before = harness.services.batch_lookup.details(batch.id)
    harness.services.removal.remove(item.id)
    after = harness.services.batch_lookup.details(batch.id)
    assert (after.batch.version, after.counts) == (before.batch.version, before.counts)


def test_a_rendition_that_is_made_while_its_picture_is_removed_does_not_stay(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = completed(harness)
    [image] = harness.services.lookup.details(job.id).images
    publish = LocalStore.publish

    def removed_before(store: LocalStore, staged: Any, name: str) -> None:
        harness.services.removal.remove(job.id)
        publish(store, staged, name)

    monkeypatch.setattr(LocalStore, "publish", removed_before)
    assert harness.services.renditions.open(image, Rendition.SMALL) is None
    assert harness.bench.files() == []
