"""Creating a batch, against inserting its rows; asking for its status, against a small batch."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack

from bench.environment import UNSERVED, SystemUnderTest, postgres_group, serving
from bench.load.http import request_text
from bench.loading import Load, loading
from bench.measures.submit import SETTLE_S, posting
from bench.measures.turns import Turn, cpu, in_turns, values
from bench.meter import Meter
from bench.plan import Plan
from bench.results import Measure, Row
from tests.support.service import call

ITEMS = (10_000, 2_000)  # usually, and quick
FEW = 10
BUDGET = 4.0
STATUS_BUDGET = 3.0
CLIENTS = 8

EXPLANATION = (
    "One POST of a JSON array of items, each with a prompt, a customId and parameters: parsed, validated, stored. "
    "The floor inserts the same rows, read back from the database, with one `executemany` of SQLAlchemy Core per table in one "
    "transaction. CPU is that of the web process, or of the floor's, and of PostgreSQL. "
    "The floor of a status is that of a batch of ten."
)


def measure(plan: Plan) -> Measure:
    """CPU of a batch, and of its status."""
    result = Measure("batches", "Batches", EXPLANATION)
    count = plan.pick(*ITEMS)
    for database in plan.databases:
        with ExitStack() as stack:
            _on(database, count, plan, result, stack)
    return result


def create(system: SystemUnderTest, count: int) -> str:
    """Create a batch that waits; returns its id."""
    items = [{"prompt": f"Panel {n} of a comic about a fox", "customId": f"panel-{n}"} for n in range(count)]
    body = {"items": items, "defaults": {"model": UNSERVED, "parameters": {"width": 1024, "height": 1024}}}
    answer = call(
        "POST", f"http://127.0.0.1:{system.port}/api/batches", body, {"Authorization": f"Bearer {system.key}"}
    )
    if answer.status >= 300:
        raise RuntimeError(f"the batch was refused: {answer.content.decode()}")
    return str(answer.json["batchId"])


def _on(database: str, count: int, plan: Plan, result: Measure, stack: ExitStack) -> None:
    system = stack.enter_context(serving(database))
    inserter = stack.enter_context(loading("bench.load.inserter", system.service.env))
    made: list[str] = []

    def creating() -> Turn:
        counter = Meter(lambda: _groups(system))
        begun = time.perf_counter()
        counter.start()
        made.append(create(system, count))
        seconds = time.perf_counter() - begun
        time.sleep(SETTLE_S)
        return Turn({"ms": 1e3 * seconds}, counter.used())

    def inserting() -> Turn:
        counter = Meter(lambda: postgres_group(system.service.env["DATABASE_URL"]))
        counter.start()
        done = inserter.call("insert_again", batch=made[-1])
        return Turn({"ms": 1e3 * done["seconds"]}, {**counter.used(), "worker": done["cpu"]})

    subject, floor = in_turns(plan.repeats, creating, inserting)
    label = f"{database}, {count:,} items"
    result.rows += [
        Row(f"{label}: CPU", "ms", _ms(cpu(subject)), _ms(cpu(floor)), BUDGET),
        Row(f"{label}: time", "ms", values(subject, "ms"), values(floor, "ms")),
    ]
    load = stack.enter_context(loading("bench.load.http"))
    many, few = (_asking(system, load, create(system, size), plan) for size in (count, FEW))
    subject, floor = in_turns(plan.repeats, many, few)
    result.rows += [
        Row(f"{label}: status, CPU", "µs", cpu(subject), cpu(floor), STATUS_BUDGET),
        Row(f"{label}: status, time, p50", "ms", values(subject, "p50"), values(floor, "p50"), STATUS_BUDGET),
    ]


def _asking(system: SystemUnderTest, load: Load, batch_id: str, plan: Plan) -> Callable[[], Turn]:
    request = request_text("GET", f"/api/batches/{batch_id}", key=system.key).decode()
    return posting(load, system.port, [request], CLIENTS, plan.seconds, lambda: _groups(system))


def _groups(system: SystemUnderTest) -> dict[str, list[int]]:
    return {"web": system.groups()["web"], **postgres_group(system.service.env["DATABASE_URL"])}


def _ms(seconds: list[float]) -> list[float]:
    return [1e3 * each for each in seconds]
