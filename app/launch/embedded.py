"""The Redis that is started where REDIS_URL is not set. Its data stays in its folder: the next start finds the queue."""

from __future__ import annotations

import fcntl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.adapters.local_redis import LONGEST_SOCKET_PATH, LocalRedis, find_server
from app.launch.checks import NotReady

SOCKET = "redis.sock"


@contextmanager
def embedded_redis(folder: Path) -> Iterator[LocalRedis]:
    """One that keeps its data in `folder`, to be started by the caller and ended before the block ends.

    Raises NotReady where there is no server to run, or where another launcher runs one on the same data.
    """
    binary = find_server()
    if binary is None:
        raise NotReady("REDIS_URL: it is not set, and no redis-server is installed here; do one of the two.")
    with _alone(folder), _folder_of_socket(folder) as place:
        yield LocalRedis(binary, folder, place / SOCKET)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise NotReady(f"Another `make run` works in {folder.parent}: stop it, or set REDIS_URL.") from None
        yield


@contextmanager
def _folder_of_socket(folder: Path) -> Iterator[Path]:
    """`folder` where the system takes so long a path for a socket, else a private one that goes with the block."""
    if len(str(folder / SOCKET).encode()) <= LONGEST_SOCKET_PATH:
        yield folder
    else:
        with tempfile.TemporaryDirectory(prefix="imagefleet-") as short:
            yield Path(short)
