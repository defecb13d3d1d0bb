"""What a delivery to a webhook costs, against bare `requests.post` with a signature."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import Any

from bench.environment import ENVIRONMENT, fresh, own_redis, postgres_group, run_folder
from bench.loading import Load, loading
from bench.measures.turns import Turn, average, cpu, in_turns, values
from bench.meter import Meter
from bench.plan import Plan
from bench.results import Bar, Measure, Row
from tests.support.receiver import HttpReceiver, receiving

BUDGET = 3.0

EXPLANATION = (
    "Events of accepted requests, sent one after the other to a receiver on this machine that answers at once: claimed in the database, "
    "rendered, signed, the address checked, sent, and the answer stored. CPU is that of the sending process and of PostgreSQL. "
    "The floor signs a body of the same size with the library standardwebhooks and sends it with requests.post. "
    "Both open a connection for each event."
)


def measure(plan: Plan) -> Measure:
    """CPU and rate, on each database."""
    result = Measure("webhooks", "Sending to webhooks", EXPLANATION, bars_unit="CPU µs a delivery")
    count = plan.pick(500, 100)
    for database in plan.databases:
        with ExitStack() as stack:
            pair = Pair(stack, database, count)
            subject, floor = in_turns(plan.repeats, pair.delivered, pair.bare)
        result.rows += [
            Row(f"{database}: CPU", "µs", cpu(subject), cpu(floor), BUDGET),
            Row(f"{database}: rate", "/s", values(subject, "rate"), values(floor, "rate"), BUDGET, more_is_better=True),
        ]
        result.bars += [Bar(database, average(subject)), Bar(f"{database}, floor", average(floor))]
    return result


class Pair:
    """The service's delivery and the floor, in the same process and to the same receiver."""

    def __init__(self, stack: ExitStack, database: str, count: int) -> None:
        folder = run_folder()
        url = stack.enter_context(fresh(database, folder))
        redis_url, _ = stack.enter_context(own_redis())
        own = {"DATABASE_URL": url, "REDIS_URL": redis_url, "IMAGE_STORAGE_PATH": str(folder / "pictures")}
        env = {**ENVIRONMENT, **own, "WEBHOOK_ALLOWLIST": "127.0.0.1", "QUOTA_WAITING": "0", "LOG_LEVEL": "warning"}
        self.receiver: HttpReceiver = stack.enter_context(receiving())
        self._load: Load = stack.enter_context(loading("bench.load.webhooks", env))
        self._groups = partial(self._processes, url)
        self._count = count
        self.secret: str = self._load.call("define", url=f"{self.receiver.url}/hooks")["secret"]
        self.delivered()  # the first one imports and connects
        self._body = self.receiver.received[-1].body.decode()
        self.bare()

    def delivered(self) -> Turn:
        """The service sends."""
        self._load.call("submit", count=self._count)
        return self._turn(partial(self._load.call, "deliver"))

    def bare(self) -> Turn:
        """The floor sends."""
        bare = partial(
            self._load.call,
            "bare",
            count=self._count,
            url=f"{self.receiver.url}/bare",
            body=self._body,
            secret=self.secret,
        )
        return self._turn(bare)

    def _turn(self, send: Callable[[], dict[str, Any]]) -> Turn:
        before = len(self.receiver.received)
        counter = Meter(self._groups)
        counter.start()
        done = send()
        used = counter.used()
        arrived = len(self.receiver.received) - before
        if arrived != self._count:
            raise RuntimeError(f"of {self._count} events {arrived} arrived")
        return Turn({"rate": arrived / done["seconds"]}, {name: 1e6 * each / arrived for name, each in used.items()})

    def _processes(self, url: str) -> dict[str, list[int]]:
        return {"sending": [self._load.pid], **postgres_group(url)}
