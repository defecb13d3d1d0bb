"""A batch by the library against real processes: through a relay that cuts connections, with the server killed meanwhile."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
import signal
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from imagefleet import AsyncClient, Client, IdempotencyKeyReused, ImageRequest
from imagefleet.downloads import is_complete
from imagefleet.extension import Extension, Settings
from imagefleet.extension.drawing import Picture, ReportProgress
from tests.support.cutting_relay import cutting_relay
from tests.support.image_samples import png
from tests.support.service import Service, running_service

COUNT = 60
SMALL = {"width": 16, "height": 16}


def _draw(picture: Picture, _: ReportProgress) -> bytes:
    return png()


@pytest.fixture(scope="module")
def own_service(
    tmp_path_factory: pytest.TempPathFactory, migrated_sqlite_file: Path, redis_url: str
) -> Iterator[Service]:
    """A service whose processes the test may kill, with an extension that draws quickly."""
    folder = tmp_path_factory.mktemp("own-service")
    database = shutil.copyfile(migrated_sqlite_file, folder / "imagefleet.db")
    with running_service(folder, f"sqlite:///{database}", redis_url, webs=2, workers=1) as service:
        settings = Settings(service.url(web=1), "quick", step_s=0.0, concurrent=4, first_pause_s=0.05, max_pause_s=0.5)
        extension = Extension(settings, lambda _: None, _draw)
        running = threading.Thread(target=extension.run, daemon=True)
        running.start()
        yield service
        extension.stop()
        running.join(5)


def test_a_batch_is_made_once_and_each_picture_saved_once_whatever_breaks(own_service: Service, tmp_path: Path) -> None:
    folder = tmp_path / "saved"
    folder.mkdir()
    indexes: list[int] = []
    with cutting_relay(own_service.ports[0], after_s=0.7) as relay, Client(f"http://127.0.0.1:{relay.port}") as client:
        prompts = [f"Panel {number}" for number in range(1, COUNT + 1)]
        batch = client.batch(prompts, name="chapter 1", parameters=SMALL, idempotency_key="chapter-1")
        assert client.batch(prompts, name="chapter 1", parameters=SMALL, idempotency_key="chapter-1") == batch
        with pytest.raises(IdempotencyKeyReused):
            client.batch(prompts[1:], idempotency_key="chapter-1")
        for item in client.follow_batch(batch.batch_id):
            indexes.append(item.index)
            assert item.status == "completed", item
            _save(client, client.get(item.request_id), folder / f"{item.index:04}.png")
            if len(indexes) == COUNT // 3:
                own_service.stop("web0", signal.SIGKILL)
                own_service.start("web0")
        assert client.get_batch(batch.batch_id).counts.completed == COUNT
        assert [each.name for each in client.batches()].count("chapter 1") == 1
    assert relay.cuts > 0
    assert sorted(indexes) == list(range(1, COUNT + 1))
    assert sorted(file.name for file in folder.iterdir()) == [f"{index:04}.png" for index in range(1, COUNT + 1)]


def _save(client: Client, request: ImageRequest, file: Path) -> None:
    (picture,) = request.images
    assert client.download(picture, file) == file
    assert is_complete(picture, file)
    assert hashlib.sha256(file.read_bytes()).hexdigest() == picture.sha256


def test_a_retried_item_is_done_again_in_its_place(own_service: Service, tmp_path: Path) -> None:
    async def use() -> None:
        async with AsyncClient(own_service.url()) as client:
            batch = await client.batch(["A storm", {"prompt": "A light", "customId": "light"}], parameters=SMALL)
            ended = await client.wait_batch(batch.batch_id)
            assert (ended.status, ended.counts.completed) == ("completed", 2)
            again = await client.retry_batch(batch.batch_id, [{"custom_id": "light", "prompt": "A lamp"}])
            assert again.status == "running"
            items = [(each.index, each.prompt) async for each in client.follow_batch(batch.batch_id)]
            assert sorted(items) == [(1, "A storm"), (2, "A lamp")]
            events = [each.type async for each in client.stream_batch(batch.batch_id)]
            assert events.count("BatchFinishedEvent") == 2
            results = [
                (each.index, each.custom_id, len(each.images)) async for each in client.batch_results(batch.batch_id)
            ]
            assert results == [(1, None, 1), (2, "light", 1)]
            archive = await client.download_results(batch.batch_id, tmp_path / "batch.zip")
            assert {"0001.png", "0002-light.png", "index.csv"} <= set(zipfile.ZipFile(archive).namelist())

    asyncio.run(use())
