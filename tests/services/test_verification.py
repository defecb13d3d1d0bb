"""Comparing rows and files, on both databases."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.db import images
from app.db.jobs import Job
from app.domain.images import Rendition, file_name, rendition_name
from app.domain.messages import ImageGenerated
from app.services.verification import Finding, Problem
from tests.support.downloads import OTHER, PNG, URL
from tests.support.harness import Harness
from tests.support.image_samples import png

NOBODY = "550e8400-e29b-41d4-a716-446655440000"


def completed(harness: Harness, *urls: str) -> tuple[Job, list[Path]]:
    """A request that was made, and its files."""
    harness.bench.fetch.answers.update({URL: PNG, OTHER: png(9, 9)})
    holder, job = harness.connect_and_start()
    harness.services.generation.report(holder, ImageGenerated(request_id=job.id, image_urls=urls or (URL,)))
    harness.run_downloads()
    found = harness.services.lookup.details(job.id).images
    return harness.reload(job), [harness.bench.store.root / each.file for each in found]


def store(harness: Harness, name: str) -> None:
    with harness.bench.store.stage() as staged:
        staged.file.write(b"picture")
        harness.bench.store.publish(staged, name)


def verify(harness: Harness, *, repair: bool = False, deep: bool = False) -> list[Finding]:
    return list(harness.services.verification.run(repair=repair, deep=deep))


def test_nothing_is_wrong_with_what_the_service_stores(harness: Harness) -> None:
    job, [file] = completed(harness)
    store(harness, rendition_name(file.name, Rendition.SMALL))
    (harness.bench.store.root / "notes.txt").write_text("not ours")
    assert verify(harness, deep=True) == []
    harness.services.removal.remove(job.id)
    assert verify(harness, repair=True, deep=True) == []
    assert harness.bench.files() == ["notes.txt"]


def test_files_that_no_row_names_are_found_and_deleted(harness: Harness) -> None:
    _, [kept] = completed(harness)
    orphan = file_name(NOBODY, 1)
    small = rendition_name(orphan, Rendition.SMALL)
    store(harness, orphan)
    store(harness, small)
    found = sorted(verify(harness), key=lambda each: each.file)
    assert found == [Finding(Problem.ORPHAN, small), Finding(Problem.ORPHAN, orphan)]
    assert all(each.repaired for each in verify(harness, repair=True))
    assert harness.bench.files() == [kept.name]
    assert verify(harness) == []


def test_files_that_are_being_made_or_are_young_are_passed_by(harness: Harness) -> None:
    job = harness.submit()
    making, young = file_name(NOBODY, 1), file_name(NOBODY, job.created_at)
    harness.bench.database.write(lambda tx: images.intend(tx, NOBODY, [making]))
    for name in (making, young):
        store(harness, name)
    assert verify(harness, repair=True) == []
    assert harness.bench.files() == [making, young]


def test_lost_pictures_are_marked_as_removed(harness: Harness) -> None:
    job, [file] = completed(harness)
    file.unlink()
    assert verify(harness) == [Finding(Problem.MISSING, file.name)]
    assert harness.reload(job).pictures_removed_at is None
    assert verify(harness, repair=True) == [Finding(Problem.MISSING, file.name, repaired=True)]
    assert harness.reload(job).pictures_removed_at is not None
    assert harness.events(job)[-1].data == {"reason": "missing"}
    assert verify(harness) == []


def test_a_request_that_has_lost_some_of_its_pictures_keeps_the_others(harness: Harness) -> None:
    job, [first, second] = completed(harness, URL, OTHER)
    first.unlink()
    assert verify(harness, repair=True) == [Finding(Problem.MISSING, first.name)]
    assert harness.reload(job).pictures_removed_at is None
    assert harness.bench.files() == [second.name]


@pytest.mark.parametrize(
    ("change", "deep", "problem"),
    [
        (lambda content: content[:-1], False, Problem.SIZE),
        (lambda content: content[:-1] + b"x", False, None),
        (lambda content: content[:-1] + b"x", True, Problem.CHECKSUM),
    ],
)
def test_damaged_pictures_are_found_and_left_to_a_backup(
    harness: Harness, change: object, deep: bool, problem: Problem | None
) -> None:
    _, [file] = completed(harness)
    assert callable(change)
    file.write_bytes(change(file.read_bytes()))
    wanted = [] if problem is None else [Finding(problem, file.name)]
    assert verify(harness, repair=True, deep=deep) == wanted
    assert harness.bench.files() == [file.name]
