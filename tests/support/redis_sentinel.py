"""A master, its replica and three sentinels: real Redis servers that elect a new master when the old one is gone."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from os import getpid
from pathlib import Path

import redis

from app.adapters.local_redis import find_server
from app.launch.parent_death import end_with_parent
from tests.support.ports import free_ports
from tests.support.waiting import until

MASTER = "pictures"
PASSWORD = "a-password-of-tests"
SENTINEL = f"""
sentinel monitor {MASTER} 127.0.0.1 {{master}} 2
sentinel auth-pass {MASTER} {PASSWORD}
sentinel down-after-milliseconds {MASTER} 1000
sentinel failover-timeout {MASTER} 10000
"""


class Sentinels:
    """Five servers by name: one, two, sentinel-0 to sentinel-2. Each requires the password."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ports = dict(zip(("one", "two", "sentinel-0", "sentinel-1", "sentinel-2"), free_ports(5), strict=True))
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def url(self) -> str:
        """The value for REDIS_URL."""
        hosts = ",".join(f"127.0.0.1:{port}" for name, port in self._ports.items() if name.startswith("sentinel"))
        return f"redis+sentinel://:{PASSWORD}@{hosts}/{MASTER}"

    def start(self) -> None:
        """Start all of them, and wait until they have discovered each other."""
        for name in ("one", "two"):
            self._start(name, "save ''\n")
        self.execute("two", "REPLICAOF", "127.0.0.1", str(self._ports["one"]))
        for number in range(3):
            self._start(f"sentinel-{number}", SENTINEL.format(master=self._ports["one"]), "--sentinel")
        until(self._have_discovered_each_other, 30, "the sentinels to discover each other and the replica")

    def execute(self, name: str, *command: str) -> object:
        """Execute a command on one of the servers."""
        with redis.Redis(port=self._ports[name], password=PASSWORD, decode_responses=True) as client:
            return client.execute_command(*command)

    def kill(self, name: str) -> None:
        """Kill one of the servers without a shutdown."""
        process = self._running.pop(name)
        process.kill()
        process.wait()

    def end(self) -> None:
        """Kill the servers that still run."""
        for name in list(self._running):
            self.kill(name)

    def _have_discovered_each_other(self) -> bool:
        with suppress(redis.RedisError):
            return all(self._has_discovered_others(f"sentinel-{number}") for number in range(3))
        return False

    def _has_discovered_others(self, name: str) -> bool:
        with redis.Redis(port=self._ports[name], password=PASSWORD, decode_responses=True) as client:
            master = client.sentinel_master(MASTER)
            replicas = client.sentinel_slaves(MASTER)
        linked = [each for each in replicas if each["master-link-status"] == "ok"]
        return bool(master["num-other-sentinels"] == 2 and linked)

    def _start(self, name: str, more: str, *options: str) -> None:
        binary = find_server()
        assert binary is not None, "no Valkey or Redis server: install requirements.txt"
        port, folder = self._ports[name], self._folder / name
        folder.mkdir()
        configuration = f"port {port}\nbind 127.0.0.1\ndir {folder}\nrequirepass {PASSWORD}\n"
        if not options:
            configuration += f"masterauth {PASSWORD}\n"
        (folder / "redis.conf").write_text(configuration + more)
        self._running[name] = subprocess.Popen(
            [str(binary), str(folder / "redis.conf"), *options],
            stdout=subprocess.DEVNULL,
            preexec_fn=partial(end_with_parent, getpid()),  # noqa: PLW1509 - two system calls, and no lock
        )
        until(lambda: self._answers(port), what=f"{name} to answer")

    @staticmethod
    def _answers(port: int) -> bool:
        with suppress(redis.RedisError), redis.Redis(port=port, password=PASSWORD) as client:
            return bool(client.ping())
        return False


@contextmanager
def running_sentinels(folder: Path) -> Iterator[Sentinels]:
    """Run all of them until the end of the block."""
    made = Sentinels(folder)
    try:
        made.start()
        yield made
    finally:
        made.end()
