"""A whole service with a real clamd: harmful and unscanned pictures are never stored."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.clamd import MARKER, real_clamd
from tests.support.pictures import data_url, plain
from tests.support.redis import running_redis
from tests.support.service import Service, running_service
from tests.support.waiting import until


@dataclass
class Scanned:
    """A service, and a stack that stops its scanner."""

    service: Service
    clamd: ExitStack


@pytest.fixture
def scanned(tmp_path: Path, migrated_sqlite_file: Path) -> Iterator[Scanned]:
    """Real processes: web, workers, beat, Redis, clamd."""
    database = f"sqlite:///{shutil.copyfile(migrated_sqlite_file, tmp_path / 'imagefleet.db')}"
    with (
        tempfile.TemporaryDirectory(prefix="clamd-") as short,
        tempfile.TemporaryDirectory(prefix="imagefleet-redis-") as own,
        running_redis(Path(own)) as redis,
        ExitStack() as clamd,
    ):
        url = clamd.enter_context(real_clamd(Path(short)))
        with running_service(tmp_path, database, redis.url, webs=1, CLAMAV_URL=url, MAX_ATTEMPTS="1") as service:
            yield Scanned(service, clamd)


def result_of(service: Service, picture: bytes, delivery: str) -> dict[str, object]:
    """The result of a request whose extension delivers this picture by upload or data URL."""
    with service.extension("extension-1", "scanned") as extension:
        request_id = service.submit(model="scanned")
        job = extension.next_job()
        url = extension.upload(job, picture)["imageUrl"] if delivery == "upload" else data_url(picture)
        extension.done(job, url)
        result: dict[str, object] = service.final(request_id, 60)
    return result


def test_only_pictures_that_were_scanned_and_are_clean_are_stored(scanned: Scanned) -> None:
    service, clean = scanned.service, plain()
    harmful = clean + MARKER

    for delivery in ("data URL", "upload"):
        assert result_of(service, clean, delivery)["status"] == "completed"
    kept = service.pictures
    assert len(kept) == 2

    for delivery in ("data URL", "upload"):
        failed = result_of(service, harmful, delivery)
        assert (failed["status"], failed["code"]) == ("failed", "ERR_DOWNLOAD_FAILED")
        assert "harmful" in str(failed["error"])
    assert service.pictures == kept

    scanned.clamd.close()
    with service.extension("extension-1", "scanned") as extension:
        request_id = service.submit(model="scanned")
        extension.done(extension.next_job(), data_url(clean))
        worker_log = service.folder / "worker0.log"
        until(lambda: '"scan.failed"' in worker_log.read_text(), 60, "the scanner to be missed")
        assert service.status(request_id)["status"] == "downloading"  # it waits for the scanner
    assert service.pictures == kept
    assert sorted(path for path in (service.folder / "pictures").rglob("*") if path.is_file()) == [
        service.folder / "pictures" / name for name in kept
    ]
