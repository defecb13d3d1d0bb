"""Webhooks of the whole service: real receivers, a rotation, a receiver that was away, and one that hangs beside one that answers."""

from __future__ import annotations

import json
import math
import shutil
import statistics
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook

from tests.support.pictures import plain
from tests.support.receiver import HttpReceiver, receiving
from tests.support.redis import running_redis
from tests.support.service import Service, running_service
from tests.support.serving import serving
from tests.support.waiting import until

TOGETHER = 60
ROUNDS = 5
WITHOUT_PUBLIC_URL = "http://localhost:3000"  # where a worker says that the service is
HANGING = 1_000
SETTINGS: dict[str, Any] = {
    "IMAGE_SOURCE_ALLOWLIST": "127.0.0.1",
    "WEBHOOK_ALLOWLIST": "127.0.0.1",
    "WEBHOOK_TIMEOUT_MS": "60000",  # no attempt to reach the hanging receiver ends before the test does
}


@contextmanager
def sending_service(folder: Path, template: Path) -> Iterator[Service]:
    """A service of its own, which may send to this machine."""
    database = f"sqlite:///{shutil.copyfile(template, folder / 'imagefleet.db')}"
    with (
        tempfile.TemporaryDirectory(prefix="imagefleet-redis-") as own,
        running_redis(Path(own)) as redis,
        running_service(folder, database, redis.url, webs=1, **SETTINGS) as service,
    ):
        yield service


@pytest.fixture
def hooked(tmp_path: Path, migrated_sqlite_file: Path) -> Iterator[Service]:
    with sending_service(tmp_path, migrated_sqlite_file) as service:
        yield service


@pytest.fixture
def undisturbed(tmp_path_factory: pytest.TempPathFactory, migrated_sqlite_file: Path) -> Iterator[Service]:
    """Another one, beside `hooked` on the same machine."""
    with sending_service(tmp_path_factory.mktemp("undisturbed"), migrated_sqlite_file) as service:
        yield service


@pytest.fixture
def receiver() -> Iterator[HttpReceiver]:
    with receiving() as running:
        yield running


def define(service: Service, url: str, *events: str, user: str = "cli-user") -> Any:
    answer = service.post("/api/webhooks", {"url": url, "userId": user, **({"events": events} if events else {})})
    assert answer.status == 201, answer.content
    return answer.json


def test_every_event_arrives_signed_and_in_order_and_says_what_get_answers(
    hooked: Service, receiver: HttpReceiver
) -> None:
    webhook = define(hooked, f"{receiver.url}/hooks")
    with serving(plain()) as picture_url, hooked.extension("e1", "*") as extension:
        request_id = hooked.submit(webhook={"url": f"{receiver.url}/own", "events": ["image.completed"]})
        extension.done(extension.next_job(), picture_url)
        assert hooked.final(request_id)["status"] == "completed"
    until(lambda: len(receiver.received) == 4, 30, "four events")
    sent = [each for each in receiver.received if each.url == "/hooks"]
    assert [each.json["type"] for each in sent] == ["image.accepted", "image.processing", "image.completed"]
    for each in sent:
        assert Webhook(webhook["secret"]).verify(each.body, dict(each.headers))
    answered = hooked.get(f"/api/images/{request_id}").json
    told = json.loads(sent[-1].body.decode().replace(WITHOUT_PUBLIC_URL, hooked.url()))["data"]
    assert {**told, "timestamp": ""} == {**answered, "timestamp": ""}
    [own] = [each for each in receiver.received if each.url == "/own"]
    assert own.json["data"]["requestId"] == request_id
    assert own.headers["webhook-id"] == sent[-1].headers["webhook-id"]


def test_a_receiver_that_was_away_is_told_later(hooked: Service, receiver: HttpReceiver) -> None:
    webhook = define(hooked, f"{receiver.url}/hooks", "image.accepted")
    receiver.answers["/hooks"] = 503
    hooked.submit()
    until(lambda: receiver.received, 30, "the first attempt")
    receiver.answers["/hooks"] = 200
    until(lambda: len(receiver.received) == 2, 30, "the second attempt, after five seconds")
    assert len({each.headers["webhook-id"] for each in receiver.received}) == 1
    path = f"/api/webhooks/{webhook['webhookId']}/deliveries?status=delivered"
    [delivery] = until(lambda: hooked.get(path).json["deliveries"], 30, "its result")
    assert delivery["attempts"] == 2


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_receiver_that_hangs_does_not_delay_one_that_answers(
    hooked: Service, undisturbed: Service, receiver: HttpReceiver
) -> None:
    """1,000 deliveries to the first. The 99th percentile of the other's grows by at most twice, beside a service without the first
    in turns: each pair of rounds has the same load of the machine."""
    for service in (hooked, undisturbed):
        define(service, f"{receiver.url}/hooks", "image.accepted", user="ben")
    with receiving() as dead:
        define(hooked, f"{dead.url}/hang", "image.accepted", user="ann")
        with ThreadPoolExecutor(8) as clients:
            for submitted in [clients.submit(hooked.submit, userId="ann") for _ in range(HANGING)]:
                submitted.result()
        until(lambda: dead.hanging, 30, "the first attempt to hang")
        assert dead.hanging <= 8  # WEBHOOKS_PER_HOST, before the first of them time out
        rounds = [(worst_delay_ms(undisturbed, receiver), worst_delay_ms(hooked, receiver)) for _ in range(ROUNDS)]
        assert dead.received == []
    assert statistics.median(beside / alone for alone, beside in rounds) <= 2, rounds


def worst_delay_ms(service: Service, receiver: HttpReceiver) -> float:
    """The 99th percentile of the time from the event to its arrival, of `TOGETHER` requests."""
    before = len(receiver.received)
    for _ in range(TOGETHER):
        service.submit(userId="ben")
    until(lambda: len(receiver.received) == before + TOGETHER, 60, "the events to arrive")
    delays = [
        1000 * (arrived - datetime.fromisoformat(sent.json["timestamp"]).timestamp())
        for sent, arrived in zip(receiver.received[before:], receiver.arrived_at[before:], strict=True)
    ]
    return sorted(delays)[math.ceil(0.99 * TOGETHER) - 1]
