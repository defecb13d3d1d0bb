"""The service on a PostgreSQL behind a proxy that acknowledges everything and passes nothing on for a while."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url

from tests.support.pictures import data_url, plain
from tests.support.postgres import TEMPLATE, PostgresServer
from tests.support.redis import running_redis
from tests.support.service import Service, running_service
from tests.support.silent_relay import SilentRelay, silent_relay
from tests.support.waiting import until


@pytest.fixture
def relay(postgres: PostgresServer) -> Iterator[SilentRelay]:
    with silent_relay(f"{make_url(postgres.url).query['host']}/.s.PGSQL.5432") as relay:
        yield relay


@pytest.fixture
def service(tmp_path: Path, postgres: PostgresServer, relay: SilentRelay) -> Iterator[Service]:
    # or the sockets would be given up meanwhile, as those of a frozen process
    settings: dict[str, Any] = {"HUB_TIMEOUT_MS": "60000"}
    behind = make_url(postgres.create(TEMPLATE)).set(host="127.0.0.1", port=relay.port, query={})
    with (
        tempfile.TemporaryDirectory(prefix="imagefleet-redis-") as folder,
        running_redis(Path(folder)) as redis,
        running_service(
            tmp_path, behind.render_as_string(hide_password=False), redis.url, webs=1, **settings
        ) as service,
    ):
        yield service


def test_a_silent_database_is_answered_with_503_and_work_goes_on_when_it_speaks(
    service: Service, relay: SilentRelay
) -> None:
    with service.extension("extension-1", "quiet") as extension:
        waiting = service.submit(model="quiet")
        extension.next_job()
        relay.fall_silent()
        order, key = {"prompt": "a red fox", "model": "quiet"}, '"key-1"'
        refused = service.post("/api/images/generate", order, Idempotency_Key=key)
        assert (refused.status, refused.headers["retry-after"]) == (503, "2")
        health = service.get("/health")
        assert (health.status, health.json["database"]) == (503, False)
        relay.speak()
    until(lambda: service.get("/health").status == 200, 60, "the database to answer")
    # whether or not the refused request was accepted, it is once it is sent again, and only once
    repeated = until(lambda: _accepted(service, order, key), 60, "the request to be accepted")
    assert {each["requestId"] for each in service.get("/api/images").json["images"]} == {waiting, repeated}
    with service.extension("extension-2", "quiet") as extension:
        for _ in range(2):
            extension.done(extension.next_job(), data_url(plain()))
        assert [service.final(each, 60)["status"] for each in (waiting, repeated)] == ["completed", "completed"]


def _accepted(service: Service, order: dict[str, str], key: str) -> str:
    """The id of the request; empty if it was refused."""
    answer = service.post("/api/images/generate", order, Idempotency_Key=key)
    return answer.json["requestId"] if answer.status == 200 else ""
