"""A whole service with a real clamd and signatures of its own: what it finds, or did not look at, is never stored."""

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


@dataclass
class Scanned:
    """A service, and how to end the scanner that it asks."""

    service: Service
    clamd: ExitStack


@pytest.fixture
def scanned(tmp_path: Path, migrated_sqlite_file: Path) -> Iterator[Scanned]:
    """Real processes, all of them: web, workers, beat, Redis, clamd."""
    database = f"sqlite:///{shutil.copyfile(migrated_sqlite_file, tmp_path / 'imagefleet.db')}"
    with (
        tempfile.TemporaryDirectory(prefix="clamd-") as short,
        tempfile.TemporaryDirectory(prefix="imagefleet-redis-") as own,
        running_redis(Path(own)) as redis,
        ExitStack() as clamd,
    ):
        url = clamd.enter_context(real_clamd(Path(short)))
        with running_service(tmp_path, database, redis.url, webs=1, CLAMAV_URL=url) as service:
            yield Scanned(service, clamd)


def made(service: Service, picture: bytes, handed_over: str) -> dict[str, object]:
    """What came of a request whose extension hands over this picture."""
    with service.extension("painter", "scanned") as painter:
        request_id = service.submit(model="scanned")
        job = painter.next_job()
        said = painter.upload(job, picture)["imageUrl"] if handed_over == "uploaded" else data_url(picture)
        painter.done(job, said)
        result: dict[str, object] = service.final(request_id, 60)
    return result


def test_clean_pictures_are_stored_harmful_ones_never_and_without_a_scanner_none(scanned: Scanned) -> None:
    service, clean = scanned.service, plain()
    harmful = clean + MARKER

    for handed_over in ("said", "uploaded"):
        assert made(service, clean, handed_over)["status"] == "completed"
    kept = service.pictures
    assert len(kept) == 2

    for handed_over in ("said", "uploaded"):
        failed = made(service, harmful, handed_over)
        assert (failed["status"], failed["code"]) == ("failed", "ERR_DOWNLOAD_FAILED")
        assert "harmful" in str(failed["error"])
    assert service.pictures == kept

    scanned.clamd.close()
    failed = made(service, clean, "said")
    assert (failed["status"], failed["code"]) == ("failed", "ERR_DOWNLOAD_FAILED")
    assert service.pictures == kept
    assert sorted(path for path in (service.folder / "pictures").rglob("*") if path.is_file()) == [
        service.folder / "pictures" / name for name in kept
    ]
