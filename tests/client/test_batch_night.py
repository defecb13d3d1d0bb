"""A night's work: `imagefleet batch` against the real service, whose processes and whose client are killed."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy

from app.db.engine import Database
from tests.client.test_program import ENVIRONMENT
from tests.support.cutting_relay import cutting_relay
from tests.support.redis import running_redis
from tests.support.reference_extension import running_reference_extension
from tests.support.service import Service, running_service
from tests.support.waiting import until

# The first test starts the service, which takes long on a busy machine.
pytestmark = pytest.mark.timeout(300)


class Command:
    """`imagefleet` as a process, with what it has printed."""

    def __init__(self, log: Path, *words: str) -> None:
        self._log = log
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "imagefleet", *words],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=ENVIRONMENT,
            )

    @property
    def output(self) -> str:
        return self._log.read_text(errors="replace")

    def exit_code(self, timeout_s: float = 90.0) -> int:
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(self.output) from None


@contextmanager
def running(log: Path, *words: str) -> Iterator[Command]:
    command = Command(log, *words)
    try:
        yield command
    finally:
        command.process.kill()
        command.process.wait(10)


def table(path: Path, count: int, model: str) -> Path:
    """A table of that many prompts for this model."""
    rows = [["customId", "prompt", "model", "param.width", "param.height", "param.seed"]]
    rows += [[f"panel-{n}", f"Panel {n}, dusk", model, "32", "32", str(n)] for n in range(1, count + 1)]
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    return path


def pictures(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*.png"))


def rows_of(service: Service, model: str) -> int:
    """How many requests for this model are in the database."""
    database = Database(service.env["DATABASE_URL"])
    try:
        counting = sqlalchemy.text("SELECT count(*) FROM jobs WHERE model = :model")
        return int(database.read(lambda c: c.execute(counting, {"model": model}).scalar_one()))
    finally:
        database.close()


def index_of(folder: Path) -> Any:
    return json.loads((folder / "index.json").read_text(encoding="utf-8"))


def check_whole(folder: Path, count: int) -> None:
    """Every item has its picture, which is what the index says, and there is one index of each kind."""
    digits = max(4, len(str(count)))
    names = [f"{n:0{digits}}-panel-{n}.png" for n in range(1, count + 1)]
    assert pictures(folder) == names
    index = index_of(folder)
    assert [item["images"][0]["file"] for item in index["items"]] == names
    for item in index["items"]:
        image = item["images"][0]
        assert hashlib.sha256((folder / image["file"]).read_bytes()).hexdigest() == image["sha256"]
    with (folder / "index.csv").open(encoding="utf-8-sig", newline="") as file:
        assert [row["file"] for row in csv.DictReader(file)] == names
    assert (folder / "index.html").read_text(encoding="utf-8").count("<img ") == count
    assert not list(folder.glob("*.part"))


def test_a_batch_survives_the_death_of_its_client_and_of_the_server(service: Service, tmp_path: Path) -> None:
    model, count, folder = "night-a", 30, tmp_path / "chapter-1"
    words = ["batch", str(table(tmp_path / "chapter1.csv", count, model)), "--style", "noir", "--concurrency", "4"]
    words += ["--output", str(folder), "--server", service.url()]
    with running_reference_extension(service, model, step_s=0.02):
        with running(tmp_path / "first.log", *words) as first:
            until(lambda: len(pictures(folder)) >= 3, 60, "the first pictures")
            first.process.kill()
        with running(tmp_path / "second.log", *words) as second:
            until(lambda: len(pictures(folder)) >= 10, 60, f"more pictures; {second.output}")
            service.stop("web0", signal.SIGKILL)
            until(lambda: "Trying again" in second.output, 60, "the command to notice")
            service.start("web0")
            assert second.exit_code() == 0, second.output
        check_whole(folder, count)
        assert rows_of(service, model) == count
        assert "Submitted" not in second.output
        before = (folder / "0017-panel-17.png").read_bytes()
        words = [
            "retry",
            str(folder),
            "--item",
            "17",
            "--prompt",
            "Dawn",
            "--param",
            "seed=99",
            "--server",
            service.url(),
        ]
        with running(tmp_path / "third.log", *words) as third:
            assert third.exit_code() == 0, third.output
    check_whole(folder, count)
    assert (folder / "0017-panel-17.png").read_bytes() != before
    assert index_of(folder)["items"][16]["originalPrompt"] == "Dawn"
    assert rows_of(service, model) == count + 1


def test_a_batch_survives_a_proxy_that_cuts_every_connection(service: Service, tmp_path: Path) -> None:
    model, count, folder = "night-c", 20, tmp_path / "chapter-2"
    listed = str(table(tmp_path / "chapter2.csv", count, model))
    with (
        cutting_relay(service.ports[0], 1.0) as relay,
        running_reference_extension(service, model, step_s=0.05),
        running(
            tmp_path / "only.log",
            *("batch", listed, "--concurrency", "4", "--output", str(folder)),
            *("--server", f"http://127.0.0.1:{relay.port}"),
        ) as command,
    ):
        assert command.exit_code() == 0, command.output
    check_whole(folder, count)
    assert rows_of(service, model) == count
    assert relay.cuts >= 3


@contextmanager
def own_service(folder: Path, database: Path) -> Iterator[Service]:
    """A service that a test may kill as a whole."""
    shutil.copyfile(database, folder / "imagefleet.db")
    with (
        tempfile.TemporaryDirectory(prefix="imagefleet-redis-") as redis_folder,
        running_redis(Path(redis_folder)) as redis,
        running_service(
            folder, f"sqlite:///{folder / 'imagefleet.db'}", redis.url, webs=1, IMAGE_SOURCE_ALLOWLIST="127.0.0.1"
        ) as service,
    ):
        yield service


def kill_the_server(service: Service) -> None:
    """Kill every process of it, and start them again."""
    names = list(service.processes)
    for name in names:
        os.killpg(service.processes[name].pid, signal.SIGKILL)  # also the processes that it has started
        service.stop(name, signal.SIGKILL)
    for name in names:
        service.start(name)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_five_hundred_items_are_made_once_although_server_and_client_are_killed(
    tmp_path: Path, migrated_sqlite_file: Path
) -> None:
    model, count, folder = "night-b", 500, tmp_path / "book"
    with own_service(tmp_path, migrated_sqlite_file) as service:
        words = ["batch", str(table(tmp_path / "book.csv", count, model)), "--style", "noir", "--concurrency", "16"]
        words += ["--output", str(folder), "--server", service.url()]
        with running_reference_extension(service, model):
            with running(tmp_path / "first.log", *words) as first:
                until(lambda: len(pictures(folder)) >= 50, 300, f"50 pictures; {first.output}")
                first.process.kill()
            with running(tmp_path / "second.log", *words) as second:
                until(lambda: len(pictures(folder)) >= 150, 300, f"150 pictures; {second.output}")
                kill_the_server(service)
                until(lambda: len(pictures(folder)) >= 300, 300, f"300 pictures; {second.output}")
                second.process.kill()
            with running(tmp_path / "third.log", *words) as third:
                assert third.exit_code(300) == 0, third.output
        check_whole(folder, count)
        assert rows_of(service, model) == count
        assert len(service.pictures) == count
