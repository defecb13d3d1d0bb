"""The cost of a submission with all features on, against the minimal one (`bench.floors.web`)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack

from bench import meter
from bench.environment import UNSERVED, SystemUnderTest, floor_web, fresh, postgres_group, scratch, serving, submission
from bench.loading import Load, loading
from bench.measures.turns import Turn, average, cpu, in_turns, values
from bench.meter import Meter
from bench.plan import Plan
from bench.results import Bar, Measure, Row

CLIENTS = (1, 16, 64)
OF_ONE_USER = 16
BUDGET = 3.5
SETTLE_S = 0.3  # work deferred until after the response is counted too

EXPLANATION = (
    "One POST with authentication, three limits, quota, validation, the row and its event committed, and the wake-up sent. "
    "Each client is a user with its own key. A single user may also submit in parallel with one key: "
    f"{OF_ONE_USER} clients of one user are shown too, whose requests the quota has to count one after the other. "
    "The floor: the same Flask, server, validation and durability with one insert and commit of SQLAlchemy Core; it knows no users. "
    "CPU is that of the web process; the bars show the other processes too, which also do the work that the wake-ups cause."
)


def measure(plan: Plan) -> Measure:
    """Requests a second and CPU a request, by database and number of clients."""
    result = Measure("submit", "Submitting a request", EXPLANATION)
    for database in plan.databases:
        _on(database, plan, result)
    return result


def _on(database: str, plan: Plan, result: Measure) -> None:
    with ExitStack() as stack:
        system = stack.enter_context(serving(database))
        floor_url = stack.enter_context(fresh(database, stack.enter_context(scratch())))
        port, pid = stack.enter_context(floor_web("web", FLOOR_DATABASE_URL=floor_url))
        load = stack.enter_context(loading("bench.load.http"))

        def floor_groups() -> dict[str, list[int]]:
            return {"web": meter.tree(pid), **postgres_group(floor_url)}

        forget = system.forget_submissions
        for label, clients, requests in _client_groups(system):
            subject, floor = in_turns(
                plan.repeats,
                posting(load, system.port, requests, clients, plan.seconds, system.groups, forget),
                posting(load, port, [submission()], clients, plan.seconds, floor_groups),
            )
            _report(result, f"{database}, {label}", subject, floor)


def _client_groups(system: SystemUnderTest) -> Iterator[tuple[str, int, list[str]]]:
    """Label, number of clients and their requests: each with its own key, and at last all with the same one."""
    for clients in CLIENTS:
        requests = [system.post_text(model=UNSERVED, user=number) for number in range(clients)]
        yield f"{clients} client{'s' if clients > 1 else ''}", clients, requests
    yield f"{OF_ONE_USER} clients of one user", OF_ONE_USER, [system.post_text(model=UNSERVED)]


def posting(
    load: Load,
    port: int,
    requests: Sequence[str],
    clients: int,
    seconds: float,
    groups: Callable[[], meter.Groups],
    afterwards: Callable[[], None] = lambda: None,
) -> Callable[[], Turn]:
    """One turn of repeated requests, each client one of `requests`; `afterwards` runs uncounted."""

    def turn() -> Turn:
        load.call("open", port=port, clients=clients, requests=requests)
        counter = Meter(groups)
        counter.start()
        done = load.call("run", seconds=seconds)
        time.sleep(SETTLE_S)
        used = counter.used()
        load.call("close")
        afterwards()
        if done["refused"] or not done["count"]:
            raise RuntimeError(f"what was to be measured was refused: {done}")
        each_us = {name: 1e6 * each / done["count"] for name, each in used.items()}
        return Turn(
            {"rate": done["count"] / done["seconds"], "p50": done["p50"], "p99": done["p99"]},
            {**each_us, "load generator": 1e6 * done["cpu"] / done["count"]},
        )

    return turn


def _report(result: Measure, label: str, subject: list[Turn], floor: list[Turn]) -> None:
    result.rows += [
        Row(f"{label}: CPU of the web process", "µs", cpu(subject, "web"), cpu(floor, "web"), BUDGET),
        Row(f"{label}: CPU of all processes", "µs", cpu(subject), cpu(floor)),
        Row(f"{label}: rate", "/s", values(subject, "rate"), values(floor, "rate"), more_is_better=True),
        Row(f"{label}: time, p50", "ms", values(subject, "p50"), values(floor, "p50")),
        Row(f"{label}: time, p99", "ms", values(subject, "p99"), values(floor, "p99")),
    ]
    result.bars += [Bar(label, average(subject)), Bar(f"{label}, floor", average(floor))]
