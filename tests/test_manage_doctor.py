"""`python -m app.manage doctor` without a running service: each part is examined on its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from app.adapters import worker_heartbeats
from app.adapters.celery_app import QUEUES
from app.adapters.redis_clients import redis_client
from app.manage.__main__ import main
from tests.support.ports import free_port
from tests.support.redis import running_redis
from tests.support.s3 import CREDENTIALS, S3Server
from tests.support.service import ROOT
from tests.support.silent_relay import silent_relay

Doctor = Callable[..., Result]


@pytest.fixture
def doctor(tmp_path: Path) -> Doctor:
    """Runs the command with these variables, and nothing of the service's running."""
    (tmp_path / "pictures").mkdir()

    def run(*words: str, **env: str) -> Result:
        defaults = {
            "DATABASE_URL": f"sqlite:///{tmp_path}/missing/imagefleet.db",
            "REDIS_URL": f"redis://127.0.0.1:{free_port()}/0",
            "IMAGE_STORAGE_PATH": str(tmp_path / "pictures"),
            "PORT": str(free_port()),
        }
        return CliRunner().invoke(main, ["doctor", *words], env={**defaults, **env})

    return run


def links(ended: Result) -> dict[str, dict[str, Any]]:
    """The links by their names."""
    return {each["name"]: each for each in json.loads(ended.stdout)["links"]}


def test_where_nothing_runs_each_link_has_a_line_and_nothing_is_created(doctor: Doctor, tmp_path: Path) -> None:
    ended = doctor(IMAGE_STORAGE_PATH=str(tmp_path / "elsewhere"))
    assert ended.exit_code == 21
    found = {line[6:].partition(":")[0]: line for line in ended.stdout.splitlines()}
    states = {name: line[:5].strip() for name, line in found.items()}
    assert states == {
        "web": "FAIL",
        "clock": "-",
        "version": "ok",
        "database": "FAIL",
        "redis": "FAIL",
        "workers": "-",
        "beat": "-",
        "storage": "FAIL",
        "extensions": "-",
        "webhooks": "-",
    }
    assert f"there is no file {tmp_path}/missing/imagefleet.db. Run this in the folder" in found["database"]
    assert found["beat"] == "-     beat: not checked, since it needs database"
    assert [path.name for path in tmp_path.iterdir()] == ["pictures"]


def test_a_wrong_setting_is_one_line_and_has_a_status_of_its_own(doctor: Doctor) -> None:
    ended = doctor(SWEEP_INTERVAL_MS="soon")
    assert (ended.exit_code, ended.stdout) == (2, "")
    assert ended.stderr.startswith("SWEEP_INTERVAL_MS=")


@pytest.fixture
def redis_folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="imagefleet-redis-") as folder:
        yield Path(folder)


def test_workers_are_known_by_their_heartbeats_and_a_silent_redis_is_reported(
    doctor: Doctor, redis_folder: Path
) -> None:
    with running_redis(redis_folder) as redis, silent_relay(str(redis_folder / "redis.sock")) as relay:
        worker_heartbeats.beat(redis_client(redis.url), QUEUES[:-1], "a worker")
        url = f"redis://127.0.0.1:{relay.port}/0"
        found = links(doctor("--json", REDIS_URL=url))
        assert found["redis"]["ok"]
        assert (found["workers"]["code"], found["workers"]["detail"]) == (
            "WORKER_MISSING",
            f"no worker takes tasks from {QUEUES[-1]}",
        )
        relay.fall_silent()
        found = links(doctor("--json", REDIS_URL=url))
        assert found["redis"]["code"] == "REDIS_UNAVAILABLE"
        assert not found["workers"]["checked"]


def test_a_bucket_is_written_read_and_deleted_or_it_is_said_why_not(doctor: Doctor, s3: S3Server) -> None:
    bucket = s3.bucket()
    env = {**CREDENTIALS, "STORAGE_URL": s3.address(bucket)}
    assert links(doctor("--json", **env))["storage"]["detail"] == "files can be written, read and deleted"
    assert s3.names(bucket) == []
    s3.client.delete_bucket(Bucket=bucket)
    gone = links(doctor("--json", **env))["storage"]
    assert gone["code"] == "STORAGE_FAILED"
    assert gone["remedy"] == f"There is no bucket '{bucket}': create it, or name another."
    away = links(doctor("--json", **CREDENTIALS, STORAGE_URL=f"s3://pictures/?endpoint=http://127.0.0.1:{free_port()}"))
    assert "cannot be reached" in away["storage"]["remedy"]


def test_a_bucket_that_hangs_is_reported_within_seconds(doctor: Doctor, s3: S3Server) -> None:
    host, _, port = s3.url.removeprefix("http://").partition(":")
    with silent_relay((host, int(port))) as relay:
        relay.fall_silent()
        url = f"s3://pictures/?endpoint=http://127.0.0.1:{relay.port}&region=eu-central-1&path_style=on"
        found = links(doctor("--json", **CREDENTIALS, STORAGE_URL=url))
        assert (found["storage"]["code"], found["storage"]["detail"]) == ("NO_ANSWER", "no answer within 5 s")


def fake_time() -> str | None:
    """The library that shifts the clock of a process."""
    return next((str(path) for path in Path("/usr/lib").glob("*/faketime/libfaketime.so.1")), None)


@pytest.mark.skipif(fake_time() is None, reason="LOUD: libfaketime is not installed; .ci/run installs it")
def test_a_clock_that_differs_from_the_databases_is_reported(fresh_postgres: str) -> None:
    env = {
        **os.environ,
        "DATABASE_URL": fresh_postgres,
        "LD_PRELOAD": str(fake_time()),
        "FAKETIME": "-90s",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    command = [sys.executable, "-m", "app.manage", "doctor", "--json"]
    ended = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False, timeout=100)
    found = {each["name"]: each for each in json.loads(ended.stdout)["links"]}
    assert found["clock"]["code"] == "CLOCK_SKEWED", found
    assert found["clock"]["detail"].startswith("this host is 9")
    assert "behind the database" in found["clock"]["detail"]
