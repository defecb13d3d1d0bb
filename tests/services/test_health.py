"""The health check of the database, Redis and the storage."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from app.db.engine import Database
from app.services.health import ComponentHealth, Health
from tests.support.disks import read_only
from tests.support.fakes import Bench, FakeBus


class SilentBus(FakeBus):
    """A Redis that cannot be reached."""

    def is_available(self) -> bool:
        return False


def test_all_are_reported_as_available(bench: Bench) -> None:
    assert Health(bench.ports).check() == ComponentHealth(database=True, redis=True, storage=True)


def test_an_unreachable_redis_is_reported(bench: Bench) -> None:
    assert Health(bench.with_ports(bus=SilentBus()).ports).check() == ComponentHealth(
        database=True, redis=False, storage=True
    )


def test_an_unreachable_database_is_reported(bench: Bench) -> None:
    away = Database("postgresql+psycopg://nobody@127.0.0.1:1/nothing")
    assert Health(bench.with_ports(database=away).ports).check() == ComponentHealth(
        database=False, redis=True, storage=True
    )


def test_a_disk_that_cannot_be_written_is_reported(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    read_only(monkeypatch)
    assert Health(bench.ports).check() == ComponentHealth(database=True, redis=True, storage=False)


class SlowBus(FakeBus):
    """A Redis that answers once `may_answer` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.checks = 0
        self.is_asked, self.may_answer = threading.Event(), threading.Event()

    def is_available(self) -> bool:
        self.checks += 1
        self.is_asked.set()
        return self.may_answer.wait(20)


def test_callers_that_arrive_during_a_check_share_its_result(bench: Bench) -> None:
    bus = SlowBus()
    health = Health(bench.with_ports(bus=bus).ports, check_every_s=60)
    with ThreadPoolExecutor(8) as pool:
        first = pool.submit(health.check)
        assert bus.is_asked.wait(20)
        others = [pool.submit(health.check) for _ in range(7)]
        bus.may_answer.set()
        assert {each.result(20) for each in (first, *others)} == {
            ComponentHealth(database=True, redis=True, storage=True)
        }
    assert bus.checks == 1


def test_a_result_is_used_only_until_it_expires(bench: Bench) -> None:
    bus = SlowBus()
    bus.may_answer.set()
    health = Health(bench.with_ports(bus=bus).ports, check_every_s=0)
    assert [health.check() for _ in range(3)] == [ComponentHealth(database=True, redis=True, storage=True)] * 3
    assert bus.checks == 3
