"""`imagefleet doctor` and `python -m app.manage doctor` on a service of real processes, each of whose links is broken in turn."""

from __future__ import annotations

import json
import os
import signal
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import make_url

from app.db.engine import Database
from app.db.tables import sweeps
from app.db.webhook_tables import webhook_endpoints
from app.manage.__main__ import main as manage_main
from imagefleet.cli import main as client_main
from tests.support.extension import Extension
from tests.support.management import manage
from tests.support.pictures import data_url, plain
from tests.support.postgres import TEMPLATE, PostgresServer
from tests.support.redis import RestartableRedis, restartable_redis
from tests.support.service import Service, running_service
from tests.support.silent_relay import SilentRelay, silent_relay
from tests.support.waiting import until

SHARED = ("redis", "workers", "beat", "storage", "extensions", "webhooks")
Findings = dict[str, dict[str, Any]]


@dataclass
class Stage:
    """A service whose database and Redis can be taken away, keys of a user and an operator, and an extension's token."""

    service: Service
    database: SilentRelay
    redis: RestartableRedis
    operator: str
    user: str
    token: str

    def client(self, *words: str, key: str | None = None) -> tuple[int, Findings]:
        """Run the client's command; its exit code, and the links by their names."""
        env = {"IMAGEFLEET_URL": self.service.url(), "IMAGEFLEET_API_KEY": key or self.operator}
        ended = CliRunner().invoke(client_main, ["doctor", "--json", "--quiet", *words], env=env)
        return ended.exit_code, {each["name"]: each for each in json.loads(ended.stdout)["links"]}

    def server(self) -> tuple[int, Findings]:
        """The same for the command on the server."""
        env = {**self.service.env, "PORT": str(self.service.ports[0])}
        ended = CliRunner().invoke(manage_main, ["doctor", "--json"], env=env)
        return ended.exit_code, {each["name"]: each for each in json.loads(ended.stdout)["links"]}

    def both(self) -> tuple[int, Findings]:
        """The exit code of both, without a picture, and what the server's finds. The web process may answer with what it found a
        second ago; after that they agree."""

        def agreed() -> tuple[int, Findings] | None:
            (client_code, of_client), (server_code, of_server) = self.client("--no-picture"), self.server()
            same = all(of_client[name].get("code") == of_server[name].get("code") for name in SHARED)
            return (server_code, of_server) if same and client_code == server_code else None

        found = until(agreed, 20, "the client and the server to find the same")
        assert found is not None
        return found

    def extension(self, **options: Any) -> Extension:
        """The extension; a `with` block connects it."""
        return self.service.extension("painter", "flux-2", token=self.token, **options)

    def execute(self, statement: Any) -> None:
        """Change the database directly."""
        database = Database(self.service.env["DATABASE_URL"])
        database.write(lambda tx: tx.connection.execute(statement))
        database.close()


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, postgres: PostgresServer) -> Iterator[Stage]:
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="imagefleet-redis-"))
        socket = f"{make_url(postgres.url).query['host']}/.s.PGSQL.5432"
        relay = stack.enter_context(silent_relay(socket))
        redis = stack.enter_context(restartable_redis(Path(folder)))
        behind = make_url(postgres.create(TEMPLATE)).set(host="127.0.0.1", port=relay.port, query={})
        settings: dict[str, Any] = {
            "AUTH_MODE": "required",
            "HUB_TIMEOUT_MS": "60000",
            "QUOTA_INPUTS": "1",
            "MAX_ATTEMPTS": "1",
        }
        service = stack.enter_context(
            running_service(
                tmp_path_factory.mktemp("doctor"),
                behind.render_as_string(hide_password=False),
                redis.server.url,
                webs=1,
                **settings,
            )
        )
        manage(service, "create-user", "olga", "--operator")
        manage(service, "create-user", "ann")
        yield Stage(
            service,
            relay,
            redis,
            manage(service, "create-key", "olga", "--scope", "read", "--scope", "write", "--scope", "admin"),
            manage(service, "create-key", "ann"),
            manage(service, "create-extension-token", "painter"),
        )


@pytest.fixture
def painter(stage: Stage) -> Iterator[Extension]:
    """A connected extension."""
    with stage.extension() as extension:
        until(lambda: stage.server()[0] == 0, 60, "a service without anything broken")
        yield extension


def paint(extension: Extension, act: Callable[[Extension, Any], None]) -> Any:
    """Wait for the next request, and have the extension act on it."""
    job = extension.next_job(60)
    act(extension, job)
    return job


def test_a_chain_without_a_broken_link_ends_in_a_picture(stage: Stage, painter: Extension) -> None:
    with ThreadPoolExecutor(1) as pool:
        painted = pool.submit(paint, painter, lambda e, job: e.done(job, data_url(plain())))
        code, found = stage.client()
        job = painted.result()
    assert (code, [each for each in found.values() if not each["ok"]]) == (0, [])
    assert "bytes, made with flux-2" in found["picture"]["detail"]
    kept = stage.service.get(f"/api/images/{job['requestId']}", Authorization=f"Bearer {stage.operator}").json
    assert "picturesRemovedAt" in kept, "the test picture is not left behind"
    code, found = stage.client("--no-picture", key=stage.user)
    assert code == 0
    assert [name for name, each in found.items() if not each["checked"]] == ["workers", "beat", "picture"]


def test_a_picture_that_does_not_come_says_at_which_step_and_why(stage: Stage, painter: Extension) -> None:
    with ThreadPoolExecutor(1) as pool:
        failed = pool.submit(paint, painter, lambda e, job: e.failed(job, "The tab crashed", retryable=False))
        code, found = stage.client()
        failed.result()
    assert (code, found["picture"]["code"]) == (34, "ERR_GENERATION_FAILED")
    assert "The tab crashed" in found["picture"]["detail"]
    painter.send({"type": "heartbeat", "extensionId": "painter", "status": {"available": True}})
    manage(stage.service, "resume-extension", "painter")
    code, found = stage.client("--timeout", "4s")
    painter.next_job()
    assert (code, found["picture"]["code"]) == (34, "TOO_SLOW")
    assert "still processing" in found["picture"]["detail"]


def test_keys_and_limits(stage: Stage, painter: Extension) -> None:
    for key in ("wrong", "imgk_0123456789abcdef_" + 64 * "0"):
        code, found = stage.client(key=key)
        assert (code, found["key"]["code"]) == (25, "ERR_UNAUTHORIZED")
        assert found["picture"] == {
            "number": 14,
            "name": "picture",
            "ok": False,
            "checked": False,
            "detail": "since it needs key",
        }
    lost = manage(stage.service, "create-key", "ann")
    manage(stage.service, "revoke-key", lost.split("_")[1])
    assert stage.client(key=lost)[0] == 25
    reader = manage(stage.service, "create-key", "ann", "--scope", "read")
    code, found = stage.client(key=reader)
    assert (code, found["key"]["code"]) == (25, "SCOPE_MISSING")
    picture = plain()
    sent = stage.service.post("/api/inputs", picture, Authorization=f"Bearer {stage.user}", Content_Type="image/png")
    assert sent.status == 201, sent.content
    code, found = stage.client(key=stage.user)
    assert (code, found["limits"]["detail"]) == (26, "used up: QUOTA_INPUTS (1 of 1)")


def test_extensions_and_webhooks(stage: Stage) -> None:
    code, found = stage.both()
    assert (code, found["extensions"]["code"]) == (32, "NO_EXTENSION")
    with stage.extension():
        manage(stage.service, "pause", "--extension", "painter", "--note", "it is cleaned")
        code, found = stage.both()
        assert (code, found["extensions"]["code"]) == (32, "PAUSED_EXTENSIONS")
        assert "it is cleaned" in found["extensions"]["detail"]
        manage(stage.service, "resume", "--extension", "painter")
        body = {"url": "https://receiver.example/hooks"}
        made = stage.service.post("/api/webhooks", body, Authorization=f"Bearer {stage.user}").json
        of_it = webhook_endpoints.update().where(webhook_endpoints.c.id == made["webhookId"])
        stage.execute(of_it.values(enabled=False, disabled_reason="It answered 410 Gone."))
        code, found = stage.both()
        assert (code, found["webhooks"]["code"]) == (33, "WEBHOOK_DISABLED")
        _, own = stage.client("--no-picture", key=stage.user)
        assert "It answered 410 Gone" in own["webhooks"]["detail"]
        stage.execute(of_it.values(enabled=True, disabled_reason=None))


def test_a_storage_that_is_gone(stage: Stage, painter: Extension) -> None:
    folder = stage.service.folder / "pictures"
    folder.rename(folder.with_name("elsewhere"))
    try:
        until(lambda: stage.client("--no-picture")[0] == 31, 20, "the web process to look at the storage again")
        code, found = stage.client()
        assert (code, found["storage"]["code"]) == (31, "STORAGE_FAILED")
        assert found["picture"]["detail"] == "since it needs storage"
        code, found = stage.server()
        assert (code, found["storage"]["code"]) == (31, "STORAGE_MISSING")
    finally:
        folder.with_name("elsewhere").rename(folder)


def test_a_redis_that_is_gone_and_comes_back(stage: Stage, painter: Extension) -> None:
    stage.redis.kill()
    until(lambda: stage.server()[0] == 28, 60, "Redis to be missed")
    code, found = stage.both()
    assert (code, found["redis"]["code"]) == (28, "REDIS_UNAVAILABLE")
    assert not found["workers"]["checked"]
    stage.redis.start()
    until(lambda: stage.server()[0] == 0, 60, "all to work again")


def test_a_database_that_hangs_is_reported_within_seconds(stage: Stage, painter: Extension) -> None:
    stage.database.fall_silent()
    try:
        code, found = stage.client()
        assert code == 27
        assert {name for name, each in found.items() if not each["checked"]} >= {"key", "workers", "picture"}
        assert found["redis"]["ok"]
        code, found = stage.server()
        assert (code, found["database"]["code"]) in {(27, "NO_ANSWER"), (27, "DATABASE_UNREACHABLE")}
        assert not found["beat"]["checked"]
        assert found["storage"]["ok"]
    finally:
        stage.database.speak()
    until(lambda: stage.server()[0] == 0, 60, "all to work again")


def test_processes_that_are_killed_or_hang(stage: Stage, painter: Extension) -> None:
    """The last test: it leaves none of them."""
    stage.service.stop("beat", signal.SIGKILL)
    stage.execute(sweeps.update().values(at=sweeps.c.at - 60_000))
    code, found = stage.both()
    assert (code, found["beat"]["code"]) == (30, "BEAT_SILENT")
    stage.service.stop("worker0", signal.SIGKILL)
    until(lambda: stage.server()[0] == 29, 60, "the worker to be missed")
    code, found = stage.both()
    assert code == 29
    assert found["workers"]["detail"] == "no worker takes tasks from dispatch, housekeeping, download and webhooks"
    assert not found["beat"]["checked"]
    web = stage.service.processes["web0"]
    os.killpg(web.pid, signal.SIGSTOP)
    try:
        code, found = stage.client()
        assert (code, found["version"]["code"]) == (24, "NO_ANSWER")
        assert stage.server()[0] == 21
    finally:
        os.killpg(web.pid, signal.SIGCONT)
    os.killpg(web.pid, signal.SIGKILL)
    stage.service.processes.pop("web0").wait(30)
    assert stage.client()[0] == 21
    code, found = stage.server()
    assert (code, found["web"]["code"]) == (21, "WEB_UNREACHABLE")
