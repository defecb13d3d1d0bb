"""The service with its pictures in a bucket: no process needs a file of another one."""

from __future__ import annotations

import hashlib
import io
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.support.pictures import data_url, plain
from tests.support.ports import free_port
from tests.support.redis import running_redis
from tests.support.s3 import CREDENTIALS, S3Server
from tests.support.service import Service, call, running_service
from tests.support.waiting import until

PREFIX = "app/"


@pytest.fixture(scope="module")
def bucket(s3: S3Server) -> str:
    return s3.bucket()


@pytest.fixture(scope="module")
def service(
    s3: S3Server, bucket: str, tmp_path_factory: pytest.TempPathFactory, migrated_sqlite_file: Path
) -> Iterator[Service]:
    """A worker and a web process with one folder for unfinished files, and a web process with another."""
    folder = tmp_path_factory.mktemp("s3")
    database = f"sqlite:///{shutil.copyfile(migrated_sqlite_file, folder / 'imagefleet.db')}"
    settings: dict[str, Any] = {"STORAGE_URL": s3.address(bucket, PREFIX), **CREDENTIALS}
    with (
        tempfile.TemporaryDirectory(prefix="imagefleet-redis-") as own,
        running_redis(Path(own)) as redis,
        running_service(folder, database, redis.url, webs=1, **settings) as running,
    ):
        running.ports.append(free_port())
        running.start("web1", IMAGE_STORAGE_PATH=str(folder / "elsewhere"))
        running.ready()
        yield running


def made(service: Service, model: str, *pictures: bytes, uploaded: bool = False, **request: Any) -> Any:
    """A request whose pictures an extension at the second web process has made."""
    request_id = service.submit(model=model, parameters={"numberOfImages": len(pictures)}, **request)
    with service.extension(f"makes-{model}", model, web=1) as extension:
        job = extension.next_job()
        if uploaded:
            urls = [extension.upload(job, each, place)["imageUrl"] for place, each in enumerate(pictures)]
        else:
            urls = [data_url(each) for each in pictures]
        extension.done(job, urls[0], imageUrls=urls)
        extension.receive("image_generation_confirmed")
    return service.final(request_id)


def colour(picture: bytes) -> Any:
    return Image.open(io.BytesIO(picture)).convert("RGB").getpixel((0, 0))


def test_a_picture_is_served_whole_in_part_and_conditionally(service: Service) -> None:
    path = made(service, "inline", plain("red"))["imagePath"]
    for web in (0, 1):
        whole = service.get(path, web)
        assert (whole.status, whole.headers["content-type"], colour(whole.content)) == (200, "image/png", (255, 0, 0))
        etag = whole.headers["etag"]
        assert etag == f'"{hashlib.sha256(whole.content).hexdigest()}"'
        part = service.get(path, web, Range="bytes=10-19")
        assert (part.status, part.content) == (206, whole.content[10:20])
        assert service.get(path, web, If_None_Match=etag).status == 304
        head = call("HEAD", service.url(path, web))
        assert (head.status, head.headers["content-length"]) == (200, str(len(whole.content)))


def test_uploads_reach_a_worker_that_shares_no_folder(service: Service, s3: S3Server, bucket: str) -> None:
    result = made(service, "uploads", plain("red"), plain("blue"), uploaded=True)
    assert [colour(service.get(each["imagePath"]).content) for each in result["images"]] == [(255, 0, 0), (0, 0, 255)]
    uploads = f"{PREFIX}.uploads/"
    until(lambda: not [name for name in s3.names(bucket) if name.startswith(uploads)], 20, "uploads to be discarded")


def test_a_thumbnail_is_made_of_a_picture_in_the_bucket(service: Service) -> None:
    path = made(service, "thumbnails", plain("blue"))["imagePath"]
    thumbnail = service.get(path.replace(".png", ".256.webp"), web=1)
    assert (thumbnail.status, thumbnail.headers["content-type"]) == (200, "image/webp")
    assert Image.open(io.BytesIO(thumbnail.content)).format == "WEBP"


def test_an_identical_request_gets_a_copy(service: Service) -> None:
    first = made(service, "cached", plain("red"), cache="prefer")
    second = service.final(service.submit(model="cached", cache="prefer", parameters={"numberOfImages": 1}))
    assert second["cachedFrom"] == first["requestId"]
    assert second["imagePath"] != first["imagePath"]
    assert service.get(second["imagePath"]).content == service.get(first["imagePath"]).content


def test_the_archive_of_a_batch_has_its_pictures(service: Service) -> None:
    items = [{"prompt": "a fox", "model": "batched"}, {"prompt": "a hen", "model": "batched"}]
    batch = service.post("/api/batches", {"items": items, "userId": "ann"}).json
    colours = {"a fox": "red", "a hen": "blue"}
    with service.extension("batcher", "batched") as extension:
        for _ in items:
            job = extension.next_job()
            extension.done(job, data_url(plain(colours[job["prompt"]])))
            extension.receive("image_generation_confirmed")
    address = f"/api/batches/{batch['batchId']}"
    until(lambda: service.get(address).json["status"] == "completed", 30, "the batch to be completed")
    with zipfile.ZipFile(io.BytesIO(service.get(f"{address}/results", web=1).content)) as archive:
        pictures = [archive.read(name) for name in sorted(archive.namelist()) if name.endswith(".png")]
    assert [colour(each) for each in pictures] == [(255, 0, 0), (0, 0, 255)]


def test_no_picture_is_on_a_disk(service: Service, s3: S3Server, bucket: str) -> None:
    made(service, "last", plain("red"), uploaded=True)
    until(lambda: not left_on_disks(service), 20, "unfinished files to be removed")
    assert all(name.startswith(PREFIX) for name in s3.names(bucket))


def left_on_disks(service: Service) -> list[Path]:
    folders = (service.folder / "pictures", service.folder / "elsewhere")
    assert all(folder.is_dir() for folder in folders)
    return [path for folder in folders for path in folder.rglob("*") if path.is_file()]
