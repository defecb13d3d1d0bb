"""Renditions of stored pictures: made with the picture, linked for identical requests, or made when they are wanted."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, BinaryIO

import pytest
from PIL import Image
from sqlalchemy import delete

from app.adapters.decoders import DecodersBusy
from app.adapters.store import LocalStore, StoreError
from app.db import images as rows
from app.db.images import StoredImage
from app.db.tables import images
from app.domain.errors import InvalidRequest, Unavailable
from app.domain.images import BadImage, Rendition, rendition_name, stored_names, thumbnail_names
from app.domain.states import Status
from app.services import renditions
from app.services.cleanup import Cleanup, abandoned_ms
from app.services.renditions import Renditions
from tests.support.downloads import URL, make_due, run, stored
from tests.support.fakes import Bench, render_in_thread
from tests.support.image_samples import encoded, png, sample_image
from tests.support.job_factory import add_job, downloading_job
from tests.support.waiting import until

JPEG = encoded(sample_image(600, 300), "JPEG")


def completed(bench: Bench, content: bytes = JPEG) -> StoredImage:
    """The picture of a completed request."""
    bench.fetch.answers[URL] = content
    job = run(bench, downloading_job(bench, URL))
    assert job.status is Status.COMPLETED
    [image] = stored(bench, job)
    return image


def opened(service: Renditions, image: StoredImage, rendition: Rendition) -> Image.Image:
    content = service.open(image, rendition)
    assert content is not None
    with content:
        return Image.open(io.BytesIO(content.read()))


class Counting:
    """A renderer that counts, and waits until `go` is set."""

    def __init__(self) -> None:
        self.made: list[Rendition] = []
        self.go = threading.Event()

    def __call__(self, source: BinaryIO, target: BinaryIO, rendition: Rendition) -> None:
        self.made.append(rendition)
        assert self.go.wait(30)
        render_in_thread(source, target, rendition)


def failing(error: Exception) -> Callable[..., None]:
    def fail(*_: Any) -> None:
        raise error

    return fail


# -- with the picture


def test_thumbnails_are_stored_with_the_picture(bench: Bench) -> None:
    image = completed(bench)
    assert bench.files() == sorted((image.file, *thumbnail_names(image.file)))
    idle = Renditions(bench.with_ports(renderer=failing(AssertionError())).ports)
    assert opened(idle, image, Rendition.SMALL).size == (256, 128)
    assert opened(idle, image, Rendition.LARGE).size == (600, 300)


class NoThumbnails(LocalStore):
    """A disk that has no room for thumbnails."""

    def publish(self, staged: Any, name: str) -> None:
        if name.endswith(".webp"):
            raise StoreError("The disk is full.")
        super().publish(staged, name)


def test_a_thumbnail_that_cannot_be_stored_fails_no_request(bench: Bench) -> None:
    image = completed(bench.with_ports(store=NoThumbnails(bench.store.root)))
    assert bench.files() == [image.file]
    assert opened(Renditions(bench.ports), image, Rendition.SMALL).size == (256, 128)


class NoPictures(LocalStore):
    """A disk that breaks after the first thumbnail."""

    broken = False

    def publish(self, staged: Any, name: str) -> None:
        if self.broken:
            raise StoreError("The disk is full.")
        super().publish(staged, name)
        self.broken = name.endswith("256.webp")


def test_a_download_that_fails_leaves_no_thumbnails(bench: Bench) -> None:
    bench.fetch.answers = {URL: JPEG, URL + "2": JPEG}
    job = downloading_job(bench, URL, URL + "2")
    assert run(bench.with_ports(store=NoPictures(bench.store.root)), job).status is Status.DOWNLOADING
    assert bench.files() == []
    make_due(bench, job)
    assert run(bench, job).status is Status.COMPLETED
    assert len(bench.files()) == 6


def test_all_files_of_an_abandoned_picture_are_removed(bench: Bench) -> None:
    image = completed(bench)
    job = add_job(bench.database)
    bench.database.write(lambda tx: rows.intend(tx, job.id, [f"{job.id}_1.png"]))
    for name, new_name in zip(stored_names(image.file), stored_names(f"{job.id}_1.png"), strict=True):
        bench.store.link(name, new_name)
    Cleanup(bench.ports).sweep(job.created_at + abandoned_ms(bench.ports.settings) + 60_000)
    assert bench.files() == sorted((image.file, *thumbnail_names(image.file)))


# -- when they are wanted


@pytest.mark.parametrize("rendition", Rendition)
def test_a_rendition_is_made_when_it_is_wanted_and_kept(bench: Bench, rendition: Rendition) -> None:
    image = completed(bench, png(600, 300))
    assert bench.files() == [image.file]
    size = (256, 128) if rendition is Rendition.SMALL else (600, 300)
    assert opened(Renditions(bench.ports), image, rendition).size == size
    assert bench.files() == sorted((image.file, rendition_name(image.file, rendition)))
    idle = Renditions(bench.with_ports(renderer=failing(AssertionError())).ports)
    assert opened(idle, image, rendition).size == size


def test_twenty_threads_that_want_the_same_rendition_have_it_made_once(bench: Bench) -> None:
    image, renderer = completed(bench, png(600, 300)), Counting()
    service = Renditions(bench.with_ports(renderer=renderer).ports)
    with ThreadPoolExecutor(20) as threads:
        waiting = [threads.submit(opened, service, image, Rendition.SMALL) for _ in range(20)]
        until(lambda: renderer.made, 30, "the first to begin")
        renderer.go.set()
        assert {each.result(30).size for each in waiting} == {(256, 128)}
    assert renderer.made == [Rendition.SMALL]


def test_only_some_renditions_are_made_at_once(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(renditions, "AT_ONCE", 2)
    image, renderer = completed(bench, png(600, 300)), Counting()
    service = Renditions(bench.with_ports(renderer=renderer).ports)
    with ThreadPoolExecutor(2) as threads:
        waiting = [threads.submit(opened, service, image, each) for each in (Rendition.SMALL, Rendition.LARGE)]
        until(lambda: len(renderer.made) == 2, 30, "both to begin")
        with pytest.raises(Unavailable, match="too many thumbnails") as refused:
            service.open(image, Rendition.WEBP)
        assert refused.value.retry_after_s
        renderer.go.set()
        assert [each.result(30).size for each in waiting] == [(256, 128), (600, 300)]
    assert opened(service, image, Rendition.WEBP).size == (600, 300)


@pytest.mark.parametrize("error", [DecodersBusy("Too many pictures."), BadImage("It ends its decoder.")])
def test_a_rendition_that_cannot_be_made_now_can_be_made_later(bench: Bench, error: Exception) -> None:
    image = completed(bench, png(600, 300))
    with pytest.raises(Unavailable, match=str(error)) as refused:
        Renditions(bench.with_ports(renderer=failing(error)).ports).open(image, Rendition.SMALL)
    assert refused.value.retry_after_s
    assert bench.files() == [image.file]
    assert opened(Renditions(bench.ports), image, Rendition.SMALL).size == (256, 128)


@pytest.mark.parametrize("rendition", Rendition)
def test_a_picture_whose_file_is_gone_has_no_renditions(bench: Bench, rendition: Rendition) -> None:
    image = completed(bench, png(600, 300))
    bench.store.delete(image.file)
    assert Renditions(bench.ports).open(image, rendition) is None
    assert bench.files() == []


def test_a_picture_that_is_removed_while_a_rendition_is_made_leaves_none(bench: Bench) -> None:
    image = completed(bench, png(600, 300))

    def remove_meanwhile(source: BinaryIO, target: BinaryIO, rendition: Rendition) -> None:
        bench.database.write(lambda tx: tx.connection.execute(delete(images)))
        for name in stored_names(image.file):
            bench.store.delete(name)
        render_in_thread(source, target, rendition)

    assert Renditions(bench.with_ports(renderer=remove_meanwhile).ports).open(image, Rendition.SMALL) is None
    assert bench.files() == []


@pytest.mark.parametrize("size", [(1, 16_384), (16_384, 1)])
def test_a_format_that_cannot_hold_the_picture_is_refused(bench: Bench, size: tuple[int, int]) -> None:
    service, image = Renditions(bench.ports), completed(bench, png(*size))
    with pytest.raises(InvalidRequest, match="at most 16,383") as refused:
        service.open(image, Rendition.WEBP)
    assert refused.value.field == "format"
    assert opened(service, image, Rendition.JPEG).size == size
    assert max(opened(service, image, Rendition.LARGE).size) == 1024
