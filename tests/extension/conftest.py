"""A service that requires authentication."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.redis import running_redis
from tests.support.service import Service, running_service


@pytest.fixture(scope="session")
def guarded(tmp_path_factory: pytest.TempPathFactory, migrated_sqlite_file: Path) -> Iterator[Service]:
    """A service that requires authentication, with a timeout that suits slow machines. Tests share it."""
    folder = tmp_path_factory.mktemp("guarded")
    database = shutil.copyfile(migrated_sqlite_file, folder / "imagefleet.db")
    with (
        tempfile.TemporaryDirectory(prefix="imagefleet-redis-") as redis_folder,
        running_redis(Path(redis_folder)) as redis,
        running_service(
            folder,
            f"sqlite:///{database}",
            redis.url,
            webs=1,
            AUTH_MODE="required",
            AUTHENTICATION_TIMEOUT_MS="10000",
        ) as service,
    ):
        yield service
