"""Fault injection. A fault takes effect at once; one that lasts returns a function that ends it."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import LiteralString

import psutil
import psycopg
import redis
from sqlalchemy import make_url

from app.adapters.redis_clients import redis_client
from tests.chaos.host import ImageHost, Key
from tests.chaos.plan import Fault
from tests.chaos.stage import Stage, pg_ctl

Undo = Callable[[], object]
"""Ends the fault; returns False if it is too early for that."""
NOT_APPLICABLE = (OSError, psutil.Error, psycopg.Error, sqlite3.Error, subprocess.SubprocessError)
WEBS = ("web0", "web1")
WORKERS = ("worker0", "worker1")
SECOND_BEAT = "beat-too"
READ_S = 0.06  # from the last byte sent to the last byte read
THAW_S = 20.0


def apply(stage: Stage, fault: Fault) -> Undo | None:
    """Inject the fault."""
    return _KINDS[fault.kind](stage, fault)


def _kill(name: str, number: signal.Signals = signal.SIGKILL) -> Callable[[Stage, Fault], None]:
    def do(stage: Stage, fault: Fault) -> None:
        stage.service.processes[_pick(name, fault)].send_signal(number)

    return do


def _freeze(name: str) -> Callable[[Stage, Fault], Undo]:
    def do(stage: Stage, fault: Fault) -> Undo:
        return _stopped(stage.tree(_pick(name, fault)))

    return do


def _pick(name: str, fault: Fault) -> str:
    return {"web": WEBS, "worker": WORKERS}.get(name, (name,))[fault.which % 2 if name in {"web", "worker"} else 0]


def _stopped(processes: list[psutil.Process]) -> Undo:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.suspend()

    def resume() -> None:
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.resume()

    return resume


def _rolling(stage: Stage, fault: Fault) -> Undo:
    """Restart one web process, then the other once the first is back."""
    first = stage.service.processes["web0"]
    first.terminate()

    def resume() -> bool:
        if stage.service.processes["web0"] is first or not stage.answers(0):
            return False
        stage.service.processes["web1"].terminate()
        return True

    return resume


def _child(stage: Stage, fault: Fault) -> None:
    """Kill a process that hands off, decodes, or starts decoders; or a Celery worker that has no such process yet."""
    main, *_ = stage.tree(_pick("worker", fault)) or [None]
    if main is None:
        return
    pools = [process for celery in main.children() for process in celery.children(recursive=True) or [celery]]
    if pools:
        pools[fault.which % len(pools)].kill()


def _second_beat(stage: Stage, fault: Fault) -> Undo:
    stage.start(SECOND_BEAT)

    def end() -> None:
        process = stage.service.processes.pop(SECOND_BEAT)
        process.kill()
        process.wait(10)

    return end


# -- Redis


def _kill_redis(stage: Stage, fault: Fault) -> Undo:
    """Redis is away for a while and comes back empty."""
    stage.kept_down.add("redis")
    stage.service.processes["redis"].kill()
    return lambda: stage.kept_down.discard("redis")


def _redis_command(*command: str) -> Callable[[Stage, Fault], None]:
    def do(stage: Stage, fault: Fault) -> None:
        parts = [part.format(ms=int(fault.seconds * 1000)) for part in command]
        with suppress(redis.RedisError), redis_client(stage.redis.url) as client:
            client.execute_command(*parts)

    return do


# -- the image host


def _host_away(stage: Stage, fault: Fault) -> Undo:
    stage.host.stop()
    return stage.host.restart


def _download_thawed(stage: Stage, fault: Fault) -> Undo:
    """Freeze a process that has downloaded a picture, and resume it while another process downloads it again."""
    frozen: list[psutil.Process] = []

    def on_heavy(key: Key, port: int) -> Callable[[], None] | None:
        holder = _reader_of(stage, port)
        if holder is None or frozen:
            return None
        frozen.append(holder)
        return partial(_freeze_and_thaw, stage.host, key, holder)

    stage.host.on_heavy = on_heavy

    def end() -> None:
        stage.host.on_heavy = None
        for process in frozen:
            _resume(process)

    return end


def _freeze_and_thaw(host: ImageHost, key: Key, holder: psutil.Process) -> None:
    nth = host.fetches[key]
    time.sleep(READ_S)
    with suppress(psutil.NoSuchProcess):
        holder.suspend()
    ends = time.monotonic() + THAW_S
    while host.fetches[key] == nth and time.monotonic() < ends:
        time.sleep(0.01)
    _resume(holder)


def _reader_of(stage: Stage, port: int) -> psutil.Process | None:
    """The worker process whose end of a connection has this port."""
    for name in WORKERS:
        for process in stage.tree(name):
            with suppress(psutil.Error):
                if any(c.laddr and c.laddr.port == port for c in process.net_connections("tcp")):
                    return process
    return None


def _resume(process: psutil.Process) -> None:
    with suppress(psutil.NoSuchProcess):
        process.resume()


# -- the database


def _database_locked(stage: Stage, fault: Fault) -> Undo:
    """Hold the lock that every write needs."""
    url = make_url(stage.database_url)
    if url.get_backend_name() == "sqlite":
        holder = sqlite3.connect(url.database or "", 10, isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        return holder.close
    connection = _connected(stage)
    connection.execute("BEGIN; LOCK TABLE jobs IN ACCESS EXCLUSIVE MODE")
    return connection.close


def _postgresql_restarted(stage: Stage, fault: Fault) -> None:
    with _connected(stage) as connection:
        folder = _query_value(connection, "SHOW data_directory")
    pg_ctl(folder, "restart", "-m", "fast")


def _postgresql_crashed(stage: Stage, fault: Fault) -> None:
    """Kill one of its processes, which makes PostgreSQL end all others and recover from its log."""
    with _connected(stage) as connection:
        os.kill(int(_query_value(connection, "SELECT pg_backend_pid()")), signal.SIGKILL)


def _connected(stage: Stage) -> psycopg.Connection[tuple[object, ...]]:
    plain = make_url(stage.database_url).set(drivername="postgresql").render_as_string(hide_password=False)
    return psycopg.connect(plain, autocommit=True, connect_timeout=5)


def _query_value(connection: psycopg.Connection[tuple[object, ...]], query: LiteralString) -> str:
    row = connection.execute(query).fetchone()
    assert row is not None
    return str(row[0])


_KINDS: Mapping[str, Callable[[Stage, Fault], Undo | None]] = {
    "web.kill": _kill("web"),
    "web.freeze": _freeze("web"),
    "web.term": _kill("web", signal.SIGTERM),
    "web.rolling": _rolling,
    "worker.kill": _kill("worker"),
    "worker.freeze": _freeze("worker"),
    "worker.term": _kill("worker", signal.SIGTERM),
    "worker.child": _child,
    "beat.kill": _kill("beat"),
    "beat.freeze": _freeze("beat"),
    "beat.double": _second_beat,
    "redis.kill": _kill_redis,
    "redis.freeze": _freeze("redis"),
    "redis.flush": _redis_command("FLUSHALL"),
    "redis.pause": _redis_command("CLIENT", "PAUSE", "{ms}", "ALL"),
    "redis.deafen": _redis_command("CLIENT", "KILL", "TYPE", "pubsub"),
    "redis.disconnect": _redis_command("CLIENT", "KILL", "TYPE", "normal"),
    "host.away": _host_away,
    "download.thaw": _download_thawed,
    "database.lock": _database_locked,
    "postgresql.restart": _postgresql_restarted,
    "postgresql.crash": _postgresql_crashed,
}
