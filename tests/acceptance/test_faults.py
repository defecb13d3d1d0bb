"""Faults that the chaos tests do not cover: a full disk, wrong clocks, clients that never finish."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.extension import Extension
from tests.support.pictures import data_url, noise, plain
from tests.support.postgres import TEMPLATE, PostgresServer
from tests.support.redis import RestartableRedis, restartable_redis, running_redis
from tests.support.service import Service, running_service
from tests.support.waiting import until
from worker.__main__ import CELERY_WORKERS

SLOW_CLIENTS = 100


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[None]:
    """Mount a disk of that size at `folder`."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def grow(folder: Path, size: str) -> None:
    """Enlarge the disk."""
    subprocess.run(["mount", "-o", f"remount,size={size}", str(folder)], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="LOUD: only root can mount the small disk that this test fills")
def test_a_full_disk_delays_a_picture_and_leaves_no_unfinished_file(
    tmp_path: Path, migrated_sqlite_file: Path, redis_url: str
) -> None:
    database = tmp_path / "imagefleet.db"
    database.write_bytes(migrated_sqlite_file.read_bytes())
    pictures = tmp_path / "pictures"
    settings = {"MIN_FREE_DISK": "0", "MAX_DOWNLOAD_ATTEMPTS": "50"}
    with (
        small_disk(pictures, "256k"),
        running_service(tmp_path, f"sqlite:///{database}", redis_url, webs=1, workers=1, **settings) as service,
        service.extension("extension-1", "large") as extension,
    ):
        request_id = service.submit(model="large")
        extension.done(extension.next_job(), data_url(noise(400, 400)))
        until(lambda: "download.failed" in service.log("worker0"), 40, "the download to fail")
        assert service.pictures == []
        grow(pictures, "8m")
        assert service.final(request_id, 60)["status"] == "completed"
        assert service.row(request_id).download_attempt == 1  # only the last one counts
        assert len(service.pictures) == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="LOUD: only root can mount the disk that this test makes read-only")
def test_a_read_only_disk_refuses_new_requests_and_delays_accepted_ones(
    tmp_path: Path, migrated_sqlite_file: Path, redis_url: str
) -> None:
    database = shutil.copyfile(migrated_sqlite_file, tmp_path / "imagefleet.db")
    pictures = tmp_path / "pictures"
    order = {"prompt": "a fox", "model": "any"}
    with (
        small_disk(pictures, "64m"),
        running_service(tmp_path, f"sqlite:///{database}", redis_url, webs=1, MIN_FREE_DISK="0") as service,
        service.extension("extension-1", "any") as extension,
    ):
        request_id = service.submit(model="any")
        subprocess.run(["mount", "-o", "remount,ro", str(pictures)], check=True)
        extension.done(extension.next_job(), data_url(plain()))
        until(lambda: not service.get("/health").json["storage"], 20, "/health to report the disk")
        assert service.get("/health").json["status"] == "degraded"
        until(lambda: service.post("/api/images/generate", order).status == 503, 20, "a refusal")
        until(lambda: "download.failed" in service.log("worker0"), 40, "the download to fail")
        subprocess.run(["mount", "-o", "remount,rw", str(pictures)], check=True)
        assert service.final(request_id, 60)["status"] == "completed"
        until(lambda: service.post("/api/images/generate", order).status == 200, 20, "a request to be accepted")


@dataclass(frozen=True)
class Interruptible:
    """A service, and the Redis that it uses alone."""

    service: Service
    redis: RestartableRedis


@pytest.fixture(scope="module")
def interruptible(tmp_path_factory: pytest.TempPathFactory, migrated_sqlite_file: Path) -> Iterator[Interruptible]:
    """A service whose Redis and worker may be killed and started again."""
    folder = tmp_path_factory.mktemp("interruptible")
    database = shutil.copyfile(migrated_sqlite_file, folder / "imagefleet.db")
    with (
        tempfile.TemporaryDirectory(prefix="imagefleet-redis-") as redis_folder,
        restartable_redis(Path(redis_folder)) as redis,
        running_service(folder, f"sqlite:///{database}", redis.server.url, webs=1) as service,
    ):
        yield Interruptible(service, redis)


@pytest.mark.parametrize("unavailable", ["redis", "worker0"])
def test_requests_wait_while_redis_or_the_worker_is_unavailable(interruptible: Interruptible, unavailable: str) -> None:
    service, redis = interruptible.service, interruptible.redis
    with service.extension("extension-1") as extension:
        if unavailable == "redis":
            redis.kill()
        else:
            service.stop(unavailable, signal.SIGKILL)
        request_id = service.submit()
        assert service.status(request_id)["status"] == "accepted"
        if unavailable == "redis":
            redis.start()
        else:
            service.start(unavailable)
        extension.done(extension.next_job(60), data_url(plain()))
        extension.receive("image_generation_confirmed", timeout_s=60)
        assert service.final(request_id)["status"] == "completed"
        # The first offer after the return of Redis may be published before the hub has subscribed again; that is no strike.
        assert service.row(request_id).strikes == 0


def fake_time() -> str | None:
    """The library that shifts the clock of a process."""
    return next((str(path) for path in Path("/usr/lib").glob("*/faketime/libfaketime.so.1")), None)


@pytest.fixture(scope="module")
def workerless(tmp_path_factory: pytest.TempPathFactory, postgres: PostgresServer) -> Iterator[Service]:
    """A service on PostgreSQL without a worker and without beat."""
    with (
        tempfile.TemporaryDirectory(prefix="imagefleet-redis-") as folder,
        running_redis(Path(folder)) as redis,
        running_service(
            tmp_path_factory.mktemp("workerless"), postgres.create(TEMPLATE), redis.url, webs=1, workers=0
        ) as service,
    ):
        yield service


@pytest.mark.skipif(fake_time() is None, reason="LOUD: libfaketime is not installed; .ci/run installs it")
@pytest.mark.parametrize("wrong", ["+2h", "-2h"])
def test_a_wrong_clock_of_a_process_affects_no_decision(workerless: Service, wrong: str) -> None:
    service, worker = workerless, f"worker{wrong}"
    for name in (worker, "beat"):
        service.start(name, LD_PRELOAD=fake_time() or "", FAKETIME=wrong)
    until(lambda: service.log(worker).count(" ready.") == CELERY_WORKERS, 60, "the worker to be ready")
    with service.extension("steady", "timely") as extension:
        _complete_three_requests(service, extension)
    for name in (worker, "beat"):
        service.stop(name)


def _complete_three_requests(service: Service, extension: Extension) -> None:
    for _ in range(3):
        request_id = service.submit(model="timely")
        job = extension.next_job(40)
        extension.progress(job, 50)
        extension.done(job, data_url(noise(16, 16)))
        extension.receive("image_generation_confirmed", timeout_s=40)
        assert service.final(request_id)["status"] == "completed"
        # The first offer after the return of Redis may be published before the hub has subscribed again; that is no strike.
        assert service.row(request_id).strikes == 0


def test_clients_that_never_finish_do_not_delay_others(service: Service) -> None:
    head = "POST /api/images/generate HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n"
    with ExitStack() as stack:
        for number in range(SLOW_CLIENTS):
            slow = stack.enter_context(socket.create_connection(("127.0.0.1", service.ports[0]), 10))
            slow.sendall((head + "\r\n{" if number % 2 else head).encode())
        request_id = service.submit()
        assert service.delete(f"/api/images/{request_id}").status == 200
