"""Requests that get the pictures of identical ones, on both databases."""

from __future__ import annotations

import dataclasses
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
from sqlalchemy import select

from app.adapters.store import LocalStore, StoreError
from app.db import reuse
from app.db.engine import Transaction
from app.db.jobs import Job
from app.db.tables import files
from app.domain.errors import NotCached, QuotaExceeded
from app.domain.fair_queueing import UNIT, Priority
from app.domain.image_request import CacheMode, ImageRequest
from app.domain.images import is_file_name, thumbnail_names
from app.domain.messages import ImageGenerated
from app.domain.states import Status
from app.services import reuse as services
from app.services.cleanup import abandoned_ms
from app.services.generation import Holder
from app.services.reuse import HITS
from tests.support.downloads import OTHER, PNG, URL, Killed, stored
from tests.support.harness import HOUR, Harness
from tests.support.image_samples import encoded, png, sample_image
from tests.support.interleaving import changed_after_read, on_postgresql, overlapping

COPIES = 64
PREFER, ONLY = CacheMode.PREFER, CacheMode.ONLY


@pytest.fixture(autouse=True)
def pictures(harness: Harness) -> None:
    """Two pictures that can be fetched."""
    harness.bench.fetch.answers.update({URL: PNG, OTHER: png(9, 9)})


def prefer(harness: Harness, **more: Any) -> Job:
    """Submit a request that may get the pictures of another one; returns it as it is then."""
    return harness.reload(harness.submit(cache=PREFER, **more))


def complete(harness: Harness, holder: Holder, job: Job, *urls: str) -> Job:
    """Have the extension deliver, and store what it delivered."""
    report = ImageGenerated(request_id=job.id, image_urls=urls or (URL,), metadata={"seed": 7, "model": "DALL-E-3"})
    harness.services.generation.report(holder, report)
    harness.run_downloads()
    assert harness.reload(job).status is Status.COMPLETED
    return harness.reload(job)


def completed(harness: Harness, **request: Any) -> Job:
    """A request that was made."""
    holder = harness.connect()
    return complete(harness, holder, harness.submit_and_start(**request))


def resolve(harness: Harness) -> None:
    """What the workers do that a wake-up reaches."""
    assert harness.bench.tasks.reuses > 0
    harness.services.reuse.resolve_all()


def hits(harness: Harness) -> int:
    return harness.bench.database.read(lambda c: reuse.counted(c, HITS))


def intended(harness: Harness) -> list[str]:
    return list(harness.bench.database.read(lambda c: c.execute(select(files.c.name)).scalars()))


def content(harness: Harness, job: Job) -> list[bytes]:
    found = []
    for image in stored(harness.bench, job):
        file = harness.bench.store.open(image.file)
        assert file is not None
        with file:
            found.append(file.read())
    return found


# -- completed requests


def test_an_identical_request_gets_the_pictures_at_once(harness: Harness) -> None:
    first = completed(harness)
    assigns = harness.bench.tasks.assigns
    job = prefer(harness)
    assert (job.status, job.progress, job.cached_from, job.follows, job.held_since) == (
        Status.COMPLETED,
        100,
        first.id,
        None,
        None,
    )
    assert (job.source_metadata, job.generated_at, job.model) == (
        first.source_metadata,
        first.generated_at,
        first.model,
    )
    assert (job.attempt, job.holder, job.started_at) == (0, None, None)
    [old], [new] = stored(harness.bench, first), stored(harness.bench, job)
    assert new.file == f"{job.id}_{job.created_at}.png"
    assert dataclasses.replace(new, file=old.file) == old
    assert content(harness, job) == content(harness, first)
    root = harness.bench.store.root
    assert (root / new.file).samefile(root / old.file)
    assert harness.bench.tasks.assigns == assigns, "nobody has to make it"
    assert intended(harness) == []
    assert hits(harness) == 1
    assert not harness.reload(first).followed


def test_it_has_its_own_events_and_watchers_hear_of_it(harness: Harness) -> None:
    first = completed(harness)
    job = prefer(harness)
    submitted, made = harness.events(job)
    assert (submitted.type, made.type) == ("ImageGenerationRequestedEvent", "ImageGeneratedEvent")
    [image] = stored(harness.bench, job)
    assert made.data == {"image_paths": [f"/generated-images/{image.file}"], "cached_from": first.id}
    last = harness.bench.bus.changes[-1]
    assert (last["requestId"], last["status"], last["lastEvent"]) == (job.id, "completed", 2)


def test_what_is_returned_by_the_submission_says_where_the_pictures_come_from(harness: Harness) -> None:
    first = completed(harness)
    copy = harness.submit(cache=PREFER)
    assert copy.cached_from == first.id
    assert harness.submit(cache=ONLY).cached_from == copy.id


def test_every_picture_of_several_is_reused_in_order(harness: Harness) -> None:
    holder = harness.connect()
    first = complete(harness, holder, harness.submit_and_start(parameters={"numberOfImages": 2}), URL, OTHER)
    job = prefer(harness, parameters={"numberOfImages": 2})
    assert [image.width for image in stored(harness.bench, job)] == [8, 9]
    assert content(harness, job) == content(harness, first)


def test_without_cache_nothing_is_looked_up_and_nothing_follows(harness: Harness) -> None:
    completed(harness)
    job, second = harness.submit(), harness.submit()
    for each in (job, second):
        assert (each.status, each.cache, each.follows, each.held_since) == (Status.ACCEPTED, None, None, None)
    assert harness.assign() == 1


def test_the_newest_of_several_is_used(harness: Harness) -> None:
    completed(harness)
    second = completed(harness)
    assert prefer(harness).cached_from == second.id


def test_a_request_that_got_its_pictures_so_can_be_used_itself(harness: Harness) -> None:
    first = completed(harness)
    second = prefer(harness)
    assert prefer(harness).cached_from == second.id != first.id


@pytest.mark.parametrize("mode", [PREFER, ONLY])
@pytest.mark.parametrize(
    "other",
    [
        {"user": "bob"},
        {"model": "flux"},
        {"model": None},
        {"parameters": {"seed": 8}},
        {"parameters": {"seed": 7, "numberOfImages": 2}},
    ],
    ids=str,
)
def test_another_request_gets_none(harness: Harness, other: dict[str, Any], mode: CacheMode) -> None:
    completed(harness, parameters={"seed": 7})
    request = {"parameters": {"seed": 7}, **other}
    if mode is ONLY:
        with pytest.raises(NotCached):
            harness.submit(cache=mode, **request)
    else:
        assert harness.submit(cache=mode, **request).follows is None
        assert harness.assign() == 1


@pytest.mark.parametrize(
    "same",
    [
        {"model": "DALL-E-3"},
        {"priority": Priority.HIGH},
        {"priority": Priority.IDLE},
        {"deadline_ms": 5_000},
        {"parameters": {"width": 64.0, "numberOfImages": 1}},
    ],
    ids=str,
)
def test_what_makes_no_difference_to_the_picture_makes_none(harness: Harness, same: dict[str, Any]) -> None:
    first = completed(harness, parameters={"width": 64})
    assert prefer(harness, **{"parameters": {"width": 64}, **same}).cached_from == first.id


def test_a_request_with_a_style_is_the_same_as_the_prompt_that_the_style_makes(harness: Harness) -> None:
    first = completed(harness, style="noir")
    plain = ImageRequest(first.prompt, first.model, "ann", first.parameters, cache=PREFER)
    copy = harness.services.submission.submit(plain, "correlation-2").job
    assert (copy.cached_from, copy.style) == (first.id, None)
    assert prefer(harness, style="NOIR").cached_from == copy.id


def test_a_request_that_names_no_model_gets_pictures_of_one_that_named_none(harness: Harness) -> None:
    holder = harness.connect("e1", "flux")
    first = complete(harness, holder, harness.submit_and_start(model=None))
    assert first.model == "flux"
    job = prefer(harness, model=None)
    assert (job.cached_from, job.model) == (first.id, "flux")


@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_a_request_without_pictures_is_no_source(harness: Harness, status: str) -> None:
    job = harness.submit()
    if status == "cancelled":
        harness.services.cancellation.cancel(job.id)
    else:
        harness.update_job(job, deadline_at=1)
        harness.sweep()
    assert harness.reload(job).status == status
    assert prefer(harness).follows is None
    with pytest.raises(NotCached):
        harness.submit(user="bob", cache=ONLY)


# -- only


def test_only_is_refused_if_nothing_is_completed_and_leaves_nothing(harness: Harness) -> None:
    harness.submit()
    with pytest.raises(NotCached) as caught:
        harness.submit(cache=ONLY)
    assert (caught.value.status, caught.value.code) == (404, "ERR_NOT_CACHED")
    assert len(harness.services.lookup.page(None, None, None, 9).jobs) == 1


# -- files


@pytest.mark.parametrize("first_deleted", ["the source", "the copy"])
def test_the_pictures_outlive_whichever_file_is_deleted_first(harness: Harness, first_deleted: str) -> None:
    first = completed(harness)
    jobs = [first, prefer(harness)]
    if first_deleted == "the copy":
        jobs.reverse()
    gone, kept = jobs
    [image] = stored(harness.bench, gone)
    harness.bench.store.delete(image.file)
    assert len(content(harness, kept)) == 1
    assert harness.bench.files() == [each.file for each in stored(harness.bench, kept)]


def test_a_request_whose_file_is_gone_is_no_source(harness: Harness) -> None:
    first = completed(harness)
    [image] = stored(harness.bench, first)
    harness.bench.store.delete(image.file)
    with pytest.raises(NotCached):
        harness.submit(cache=ONLY)
    job = prefer(harness)
    assert (job.follows, job.held_since) == (None, None)


def test_an_older_request_is_a_source_if_the_files_of_a_newer_one_are_gone(harness: Harness) -> None:
    older, newer = completed(harness), completed(harness)
    [image] = stored(harness.bench, newer)
    harness.bench.store.delete(image.file)
    job = prefer(harness)
    assert (job.status, job.cached_from) == (Status.COMPLETED, older.id)


class SlowStore(LocalStore):
    """Another process must be able to write while this storage is asked."""

    def __init__(self, harness: Harness) -> None:
        super().__init__(harness.bench.store.root)
        self._database = harness.bench.database

    def has(self, name: str) -> bool:
        with ThreadPoolExecutor(1) as other:
            other.submit(self._database.write, lambda tx: tx.now).result(10)
        return super().has(name)


def test_no_transaction_waits_for_the_storage(harness: Harness) -> None:
    first = completed(harness)
    slow = Harness.of(harness.bench.with_ports(store=SlowStore(harness)))
    assert slow.reload(slow.submit(cache=PREFER)).cached_from == first.id


class ForgetfulStore(LocalStore):
    """Each picture is deleted by somebody just before it is linked."""

    def link(self, name: str, new_name: str) -> bool:
        self.delete(name)
        return super().link(name, new_name)


def test_a_request_whose_source_is_deleted_after_it_was_found_is_made_itself(harness: Harness) -> None:
    completed(harness)
    forgetful = Harness.of(harness.bench.with_ports(store=ForgetfulStore(harness.bench.store.root)))
    job = forgetful.reload(forgetful.submit(cache=PREFER))
    assert (job.status, job.follows, job.cached_from, job.held_since) == (Status.ACCEPTED, None, None, None)
    holder = harness.connect()
    assert harness.assign() == 1
    complete(harness, holder, job)
    assert hits(harness) == 0


def test_one_that_wants_nothing_else_fails_then(harness: Harness) -> None:
    completed(harness)
    forgetful = Harness.of(harness.bench.with_ports(store=ForgetfulStore(harness.bench.store.root)))
    job = forgetful.reload(forgetful.submit(cache=ONLY))
    assert (job.status, job.error_code) == (Status.FAILED, "ERR_NOT_CACHED")


class FullStore(LocalStore):
    """A disk that takes no more files."""

    def link(self, name: str, new_name: str) -> bool:
        raise StoreError("The picture cannot be stored: No space left on device.")


def test_while_the_disk_is_full_it_waits_for_a_sweep(harness: Harness) -> None:
    first = completed(harness)
    full = Harness.of(harness.bench.with_ports(store=FullStore(harness.bench.store.root)))
    job = full.reload(full.submit(cache=PREFER))
    assert (job.status, job.cached_from) == (Status.ACCEPTED, first.id)
    harness.sweep()
    resolve(harness)
    assert harness.reload(job).status is Status.COMPLETED


# -- requests in progress


def test_a_request_follows_an_identical_one_in_progress_and_gets_its_pictures(harness: Harness) -> None:
    holder, leader = harness.connect_and_start()
    job = prefer(harness)
    assert (job.status, job.follows, job.cached_from) == (Status.ACCEPTED, leader.id, None)
    assert job.held_since is not None
    assert harness.reload(leader).version == leader.version, "the leader does not change for its client"
    complete(harness, holder, leader)
    assert harness.reload(job).status is Status.ACCEPTED
    resolve(harness)
    job = harness.reload(job)
    assert (job.status, job.follows, job.cached_from) == (Status.COMPLETED, None, leader.id)
    assert content(harness, job) == content(harness, leader)
    assert hits(harness) == 1
    assert not harness.reload(leader).followed


@pytest.mark.parametrize("mode", [CacheMode.OFF, PREFER])
def test_a_leader_may_itself_look_for_nothing(harness: Harness, mode: CacheMode) -> None:
    leader = harness.submit(cache=mode)
    assert prefer(harness).follows == leader.id


def test_a_follower_is_not_in_the_queue(harness: Harness) -> None:
    harness.submit()
    prefer(harness)
    harness.connect(max_concurrent=9)
    assert harness.assign() == 1


def test_nothing_follows_a_follower_or_a_held_request(harness: Harness) -> None:
    leader = harness.submit()
    follower = prefer(harness)
    assert prefer(harness).follows == leader.id != follower.id
    harness.services.holding.hold_user("ann")
    assert prefer(harness).follows is None


def test_a_paused_user_s_followers_stay_followers(harness: Harness) -> None:
    leader = harness.submit()
    follower = prefer(harness)
    harness.services.holding.hold_user("ann")
    harness.services.holding.release_user("ann")
    assert harness.reload(leader).held_since is None
    assert (harness.reload(follower).follows, harness.reload(follower).version) == (leader.id, follower.version)


@pytest.mark.parametrize(
    ("leader", "follower", "follows"),
    [
        (Priority.HIGH, Priority.NORMAL, True),
        (Priority.NORMAL, Priority.NORMAL, True),
        (Priority.LOW, Priority.NORMAL, False),
        (Priority.IDLE, Priority.HIGH, False),
    ],
)
def test_a_request_follows_one_of_its_class_or_a_better_one(
    harness: Harness, leader: Priority, follower: Priority, follows: bool
) -> None:
    first = harness.submit(priority=leader)
    assert prefer(harness, priority=follower).follows == (first.id if follows else None)


@pytest.mark.parametrize("limits", ["with quotas", "without quotas"])
def test_identical_requests_at_the_same_time_are_made_once(harness: Harness, limits: str) -> None:
    waiting = 1_000 if limits == "with quotas" else 0
    changed = dataclasses.replace(harness.services.settings.limits, quota_waiting=waiting)
    harness = harness.with_settings(limits=changed)
    with ThreadPoolExecutor(COPIES) as pool:
        all_jobs = list(pool.map(lambda _: harness.submit(cache=PREFER), range(COPIES)))
    [leader] = [job for job in all_jobs if job.follows is None]
    assert {job.follows for job in all_jobs if job is not leader} == {leader.id}
    holder = harness.connect(max_concurrent=9)
    assert harness.assign() == 1
    complete(harness, holder, leader)
    resolve(harness)
    assert {harness.reload(job).status for job in all_jobs} == {Status.COMPLETED}
    assert len(harness.bench.files()) == COPIES
    assert hits(harness) == COPIES - 1
    assert harness.bench.fetch.requested == [URL]


@pytest.mark.parametrize("end", ["fails", "is cancelled", "is late"])
def test_when_the_leader_ends_without_pictures_its_oldest_follower_is_made(harness: Harness, end: str) -> None:
    holder, leader = harness.connect_and_start()
    oldest, *others = followers = [prefer(harness) for _ in range(3)]
    end_of(harness, end, holder, leader)
    resolve(harness)
    oldest = harness.reload(oldest)
    assert (oldest.status, oldest.follows, oldest.held_since) == (Status.ACCEPTED, None, None)
    assert {harness.reload(job).follows for job in others} == {oldest.id}
    assert not harness.reload(leader).followed
    harness.update_extension(cooldown_until=0, failures=0)
    assert harness.assign() == 1
    complete(harness, holder, oldest)
    resolve(harness)
    assert {harness.reload(job).status for job in followers} == {Status.COMPLETED}
    assert {harness.reload(job).cached_from for job in others} == {oldest.id}
    assert harness.event_types(oldest) == [
        "ImageGenerationRequestedEvent",
        "ImageGenerationAssignedEvent",
        "ImageDownloadStartedEvent",
        "ImageGeneratedEvent",
    ]


def end_of(harness: Harness, end: str, holder: Holder, leader: Job) -> None:
    if end == "fails":
        harness.report_failure(holder, leader, code="ERR_INVALID_PROMPT", retryable=False)
    elif end == "is cancelled":
        harness.services.cancellation.cancel(leader.id)
    else:
        harness.update_job(leader, deadline_at=1)
        harness.sweep()
    assert harness.reload(leader).status in {Status.FAILED, Status.CANCELLED}


def test_one_of_the_best_class_goes_first_so_that_the_others_can_follow_it(harness: Harness) -> None:
    leader = harness.submit(priority=Priority.HIGH)
    low, high = prefer(harness, priority=Priority.LOW), prefer(harness, priority=Priority.HIGH)
    harness.services.cancellation.cancel(leader.id)
    resolve(harness)
    assert (harness.reload(high).follows, harness.reload(low).follows) == (None, high.id)


def test_a_follower_that_goes_its_own_way_queues_as_if_it_were_new(harness: Harness) -> None:
    leader = harness.submit()
    job = prefer(harness)
    harness.update_job(job, held_since=job.created_at - HOUR, queued_at=job.created_at - HOUR)
    behind = harness.submit(parameters={"seed": 8})
    harness.services.cancellation.cancel(leader.id)
    harness.connect()
    assigns = harness.bench.tasks.assigns
    resolve(harness)
    job = harness.reload(job)
    assert job.virtual_start == behind.virtual_start + UNIT
    assert harness.now() - job.queued_at < HOUR / 2
    assert harness.bench.tasks.assigns == assigns + 1


def test_a_requeued_leader_keeps_its_followers(harness: Harness) -> None:
    holder, leader = harness.connect_and_start()
    job = prefer(harness)
    harness.report_failure(holder, leader)
    assert harness.reload(leader).status is Status.ACCEPTED
    harness.sweep()
    assert harness.bench.tasks.reuses == 0
    assert harness.reload(job).follows == leader.id
    harness.update_extension(cooldown_until=0)
    assert harness.assign() == 1
    complete(harness, holder, leader)
    resolve(harness)
    assert harness.reload(job).status is Status.COMPLETED


def test_followers_of_a_leader_that_failed_use_another_one_that_was_completed_meanwhile(harness: Harness) -> None:
    leader = harness.submit()
    job = prefer(harness)
    harness.services.cancellation.cancel(leader.id)
    made = completed(harness)
    resolve(harness)
    resolve(harness)
    assert (harness.reload(job).status, harness.reload(job).cached_from) == (Status.COMPLETED, made.id)


def test_a_request_that_arrives_between_the_end_of_a_leader_and_its_followers_is_followed_by_them(
    harness: Harness,
) -> None:
    leader = harness.submit()
    job = prefer(harness)
    harness.services.cancellation.cancel(leader.id)
    later = prefer(harness)
    assert later.follows is None
    resolve(harness)
    assert harness.reload(job).follows == later.id


def test_many_followers_are_resolved_in_several_transactions(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "AT_ONCE", 2)
    leader = harness.submit()
    jobs = [prefer(harness, priority=Priority(1 + n % 2)) for n in range(5)]
    harness.services.cancellation.cancel(leader.id)
    resolve(harness)
    [oldest] = [job for job in jobs if harness.reload(job).follows is None]
    assert oldest == jobs[0]
    holder = harness.connect()
    assert harness.assign() == 1
    complete(harness, holder, oldest)
    resolve(harness)
    assert {harness.reload(job).status for job in jobs} == {Status.COMPLETED}


# -- what ends a follower


def test_a_follower_can_be_cancelled(harness: Harness) -> None:
    holder, leader = harness.connect_and_start()
    job, other = prefer(harness), prefer(harness)
    assert harness.services.cancellation.cancel(job.id).status is Status.CANCELLED
    complete(harness, holder, leader)
    resolve(harness)
    assert harness.reload(job).status is Status.CANCELLED
    assert harness.reload(other).status is Status.COMPLETED


def test_a_follower_fails_at_its_own_deadline(harness: Harness) -> None:
    leader = harness.submit()
    job = prefer(harness, deadline_ms=1_000)
    harness.update_job(job, deadline_at=1)
    harness.sweep()
    assert (harness.reload(job).status, harness.reload(job).error_code) == (Status.FAILED, "ERR_TIMEOUT")
    assert harness.reload(leader).status is Status.ACCEPTED


def test_a_follower_does_not_time_out_in_the_queue(harness: Harness) -> None:
    _, leader = harness.connect_and_start()
    job = prefer(harness)
    harness.sweep()
    harness.leave_unserved(job)
    harness.update_job(job, queued_at=1)
    harness.sweep()
    assert harness.reload(job).follows == leader.id


def test_a_follower_that_is_cancelled_while_its_files_are_made_leaves_none(harness: Harness) -> None:
    holder, leader = harness.connect_and_start()
    job = prefer(harness)
    complete(harness, holder, leader)

    class CancellingStore(LocalStore):
        def link(self, name: str, new_name: str) -> bool:
            harness.services.cancellation.cancel(job.id)
            return super().link(name, new_name)

    Harness.of(harness.bench.with_ports(store=CancellingStore(harness.bench.store.root))).services.reuse.resolve_all()
    assert harness.reload(job).status is Status.CANCELLED
    assert stored(harness.bench, job) == []
    harness.services.cleanup.sweep(harness.now() + abandoned_ms(harness.services.settings) + 60_000)
    assert len(harness.bench.files()) == 1


def test_a_follower_is_explained(harness: Harness) -> None:
    harness.submit()
    job = prefer(harness)
    harness.update_job(job, held_since=job.created_at - HOUR, queued_at=job.created_at - HOUR)
    queue = harness.services.lookup.details(job.id).queue
    assert queue is not None
    assert queue.reason == "An identical request of yours is in progress: this one gets its pictures."
    assert queue.waits_until >= job.created_at + harness.services.settings.no_extension_timeout_ms


# -- crashes and races


class KilledAfterLink(LocalStore):
    def link(self, name: str, new_name: str) -> bool:
        super().link(name, new_name)
        raise Killed


def test_a_process_killed_between_link_and_commit_loses_nothing(harness: Harness) -> None:
    first = completed(harness)
    dying = Harness.of(harness.bench.with_ports(store=KilledAfterLink(harness.bench.store.root)))
    with pytest.raises(Killed):
        dying.submit(cache=PREFER)
    [found] = [details.job for details in harness.services.lookup.page("ann", Status.ACCEPTED, None, 9).jobs]
    assert found.cached_from == first.id
    harness.sweep()
    resolve(harness)
    assert harness.reload(found).status is Status.COMPLETED
    assert len(harness.bench.files()) == 2
    assert intended(harness) == []


def test_files_of_a_killed_process_whose_request_is_cancelled_are_removed(harness: Harness) -> None:
    completed(harness)
    dying = Harness.of(harness.bench.with_ports(store=KilledAfterLink(harness.bench.store.root)))
    with pytest.raises(Killed):
        dying.submit(cache=PREFER)
    [found] = [details.job for details in harness.services.lookup.page("ann", Status.ACCEPTED, None, 9).jobs]
    harness.services.cancellation.cancel(found.id)
    assert len(harness.bench.files()) == 2
    harness.services.cleanup.sweep(harness.now() + abandoned_ms(harness.services.settings) + 60_000)
    assert len(harness.bench.files()) == 1


@pytest.mark.parametrize("end", ["completed", "cancelled"])
def test_a_sweep_resolves_followers_whose_wake_up_was_lost(harness: Harness, end: str) -> None:
    holder, leader = harness.connect_and_start()
    job = prefer(harness)
    if end == "completed":
        complete(harness, holder, leader)
    else:
        harness.services.cancellation.cancel(leader.id)
    harness.bench.tasks.reuses = 0
    harness.sweep()
    resolve(harness)
    job = harness.reload(job)
    assert job.status is Status.COMPLETED if end == "completed" else job.held_since is None


def test_a_sweep_that_finds_no_followers_wakes_nobody(harness: Harness) -> None:
    completed(harness)
    prefer(harness)
    prefer(harness, parameters={"seed": 8})
    harness.sweep()
    assert harness.bench.tasks.reuses == 0


def test_a_process_killed_after_some_followers_leaves_the_others_to_the_next(harness: Harness) -> None:
    holder, leader = harness.connect_and_start()
    jobs = [prefer(harness) for _ in range(3)]
    complete(harness, holder, leader)

    class DyingStore(LocalStore):
        left = 2

        def link(self, name: str, new_name: str) -> bool:
            self.left -= is_file_name(name)  # not for thumbnails
            if self.left < 0:
                raise Killed
            return super().link(name, new_name)

    dying = Harness.of(harness.bench.with_ports(store=DyingStore(harness.bench.store.root)))
    with pytest.raises(Killed):
        dying.services.reuse.resolve_all()
    assert sorted(harness.reload(job).status for job in jobs) == ["accepted", "completed", "completed"]
    resolve(harness)
    assert {harness.reload(job).status for job in jobs} == {Status.COMPLETED}
    assert hits(harness) == 3


def test_processes_that_resolve_the_same_followers_at_once_complete_each_once(harness: Harness) -> None:
    holder, leader = harness.connect_and_start()
    jobs = [prefer(harness) for _ in range(8)]
    complete(harness, holder, leader)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: harness.services.reuse.resolve_all(), range(4)))
    for job in jobs:
        assert harness.event_types(job) == ["ImageGenerationRequestedEvent", "ImageGeneratedEvent"]
        assert len(stored(harness.bench, job)) == 1
    assert hits(harness) == 8
    assert intended(harness) == []


def test_files_that_a_sweep_has_given_up_are_not_kept_and_made_again_later(harness: Harness) -> None:
    first = completed(harness)
    far = harness.now() + abandoned_ms(harness.services.settings) + 60_000

    class SweepingStore(LocalStore):
        def link(self, name: str, new_name: str) -> bool:
            assert harness.services.cleanup.sweep(far) == 1
            return super().link(name, new_name)

    slow = Harness.of(harness.bench.with_ports(store=SweepingStore(harness.bench.store.root)))
    job = slow.reload(slow.submit(cache=PREFER))
    assert (job.status, stored(harness.bench, job)) == (Status.ACCEPTED, [])
    harness.services.cleanup.sweep(far)
    harness.sweep()
    resolve(harness)
    assert harness.reload(job).cached_from == first.id
    assert harness.reload(job).status is Status.COMPLETED


@on_postgresql
def test_a_leader_that_ends_while_a_request_begins_to_follow_it_knows_of_it(harness: Harness) -> None:
    leader = harness.submit()

    def follow(tx: Transaction) -> None:
        assert reuse.mark_followed(tx, leader.id) is Status.ACCEPTED

    def end() -> None:
        harness.services.cancellation.cancel(leader.id)

    overlapping(harness.bench.database, follow, end)
    assert harness.bench.tasks.reuses == 1


@on_postgresql
def test_a_download_that_was_passed_by_while_its_job_got_a_follower_is_begun_again(harness: Harness) -> None:
    holder, leader = harness.connect_and_start()
    harness.report_image(holder, leader)
    wakes = harness.bench.tasks.downloads
    assert prefer(harness).follows == leader.id
    assert harness.bench.tasks.downloads == wakes + 1


@on_postgresql
def test_a_request_that_finds_a_leader_just_completed_gets_its_pictures(harness: Harness) -> None:
    holder, leader = harness.connect_and_start()
    database = harness.bench.database

    def find(*args: Any) -> Job | None:
        found = find_open(*args)
        if not done:
            done.append(True)
            complete(harness, holder, leader)
        return found

    done: list[bool] = []
    find_open = reuse.find_open
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reuse, "find_open", find)
        job = harness.reload(harness.submit(cache=PREFER))
    assert database is harness.bench.database
    assert (job.status, job.cached_from) == (Status.COMPLETED, leader.id)


@on_postgresql
def test_a_request_that_finds_a_leader_just_cancelled_goes_its_own_way(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    leader = harness.submit()

    def find(*args: Any) -> Job | None:
        found = find_open(*args)
        if found is not None:
            harness.services.cancellation.cancel(leader.id)
        return found

    find_open = reuse.find_open
    monkeypatch.setattr(reuse, "find_open", find)
    assert prefer(harness).follows is None


def test_a_follower_that_comes_while_the_others_are_resolved_is_not_forgotten(harness: Harness) -> None:
    holder, leader = harness.connect_and_start()
    prefer(harness)
    complete(harness, holder, leader)
    with changed_after_read(harness.bench.database, partial(prefer, harness)):
        harness.services.reuse.resolve_all()
    harness.services.reuse.resolve_all()
    assert [details.job.status for details in harness.services.lookup.page("ann", None, None, 9).jobs] == [
        "completed"
    ] * 3


# -- limits


def test_a_cached_request_counts_in_the_quota_of_a_day(harness: Harness) -> None:
    completed(harness)
    limits = dataclasses.replace(harness.services.settings.limits, quota_per_day=2)
    strict = harness.with_settings(limits=limits)
    strict.submit(cache=PREFER)
    with pytest.raises(QuotaExceeded):
        strict.submit(cache=PREFER)


def test_followers_do_not_count_as_waiting(harness: Harness) -> None:
    limits = dataclasses.replace(harness.services.settings.limits, quota_waiting=2)
    strict = harness.with_settings(limits=limits)
    strict.submit()
    for _ in range(3):
        strict.submit(cache=PREFER)
    strict.submit(parameters={"seed": 8})
    with pytest.raises(QuotaExceeded):
        strict.submit(parameters={"seed": 9})


# -- thumbnails


def test_an_identical_request_gets_the_thumbnails_too(harness: Harness) -> None:
    harness.bench.fetch.answers[URL] = encoded(sample_image(600, 300), "JPEG")
    job, copy = completed(harness), prefer(harness)
    assert copy.cached_from == job.id
    [image], [copied] = stored(harness.bench, job), stored(harness.bench, copy)
    for name, new_name in zip(thumbnail_names(image.file), thumbnail_names(copied.file), strict=True):
        assert (harness.bench.store.root / name).samefile(harness.bench.store.root / new_name)
    assert len(harness.bench.files()) == 6
