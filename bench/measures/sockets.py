"""Ten thousand extensions on one web process: memory, connects, and the effect on other clients."""

from __future__ import annotations

import resource
from contextlib import ExitStack

from bench import meter
from bench.environment import fleet, floor_web, serving
from bench.loading import Load, loading
from bench.measures.turns import Turn, in_turns, values
from bench.meter import Meter
from bench.plan import Plan
from bench.results import Bar, Measure, Row

REPEATS = 15  # a turn is over in half a second, and the slowest hundredth of it varies
BUDGET_KIB, BUDGET_P99 = 45.0, 2.0

EXPLANATION = (
    "Each connects with its own token, which is checked again while it is connected; nine hundred from one address. "
    "The round trip is a heartbeat and its answer, which queries the database; from random extensions, while all are connected. "
    "The floor: the echo of flask-sock on one socket, without a database. The floor of memory is the budget."
)


def measure(plan: Plan) -> Measure:
    """KiB a socket, connects a second, round trips."""
    count = plan.pick(10_000, 1_000)
    result = Measure(
        "sockets", f"{count:,} connected extensions on one web process", EXPLANATION, bars_unit="CPU µs a connect"
    )
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # for what is started here
    try:
        with ExitStack() as stack:
            _with(count, plan, result, stack)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return result


def _with(count: int, plan: Plan, result: Measure, stack: ExitStack) -> None:
    system = stack.enter_context(serving(plan.one_database, count))
    port, _ = stack.enter_context(floor_web("sockets"))
    echo = stack.enter_context(loading("bench.load.floor"))
    echo.call("connect", port=port, path="/echo")
    web = system.web_pid
    before = meter.resident([web])
    counter = Meter(system.groups)
    counter.start()
    load, done = stack.enter_context(fleet(system))
    used = counter.used()
    each = (meter.resident([web]) - before) / count / 1024
    trips = plan.pick(1_500, 200)
    subject, floor = in_turns(REPEATS, lambda: _trips(load, trips), lambda: _trips(echo, trips))
    result.rows += [
        Row("memory of a socket", "KiB", [each], [BUDGET_KIB], 1.0),
        Row("connects", "/s", [count / done["seconds"]], more_is_better=True),
        Row("round trip, p50", "ms", values(subject, "p50"), values(floor, "p50")),
        Row("round trip, p99", "ms", values(subject, "p99"), values(floor, "p99"), BUDGET_P99),
    ]
    costs = {name: 1e6 * spent / count for name, spent in {**used, "load generator": done["cpu"]}.items()}
    result.bars.append(Bar("a connect", {name: spent for name, spent in costs.items() if spent > 0.5}))


def _trips(load: Load, count: int) -> Turn:
    done = load.call("round_trips", count=count)
    if done["count"] < count:
        raise RuntimeError(f"of {count} round trips {done['count']} came back")
    return Turn({"p50": done["p50"], "p99": done["p99"]})
