"""Whether the parts answer."""

from __future__ import annotations

from app.db.engine import Database
from app.services.health import Health, Parts
from tests.support.fakes import Bench, FakeBus


class SilentBus(FakeBus):
    """Redis is away."""

    def answers(self) -> bool:
        return False


def test_all_is_well(bench: Bench) -> None:
    assert Health(bench.ports).check() == Parts(database=True, redis=True)


def test_redis_is_away(bench: Bench) -> None:
    assert Health(bench.with_tools(bus=SilentBus()).ports).check() == Parts(database=True, redis=False)


def test_the_database_is_away(bench: Bench) -> None:
    away = Database("postgresql+psycopg://nobody@127.0.0.1:1/nothing")
    assert Health(bench.with_tools(database=away).ports).check() == Parts(database=False, redis=True)
