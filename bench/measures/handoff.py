"""How long a submission takes to reach an extension, against a Celery task's start and one publish to a socket."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from bench.environment import SystemUnderTest, fleet, floor_web, fresh, scratch, serving, submission
from bench.floor_handoff import HandoffFloor, handoff_floor
from bench.loading import Load
from bench.measures.turns import Turn, average, cpu, in_turns, values
from bench.meter import Groups, Meter
from bench.plan import Plan
from bench.results import Bar, Measure, Row

IDLE_A_SECOND = 20.0
EXTENSIONS = 16
REPEATS = 3
BUDGETS = {"idle": (2.0, 3.0), "half load": (2.5, 6.0)}  # of p50 and p99
SETTLE_S = 0.3

EXPLANATION = (
    "From sending the POST to the request's arrival on an extension's socket: validated, committed, the dispatcher's task started, "
    "an extension chosen, the lease committed, and the offer published to the web process that holds the socket. "
    "The floor: a Celery task that does nothing, then one publish to one socket of flask-sock. "
    "Idle is 20 requests a second, or a quarter of the highest rate where that is less; half load is half of the highest rate, "
    "and the floor gets the same load. Each extension rejects its request at once. "
    "At a low rate most of the CPU is background work. "
    "The second floor is a POST with one insert and commit (the floor of `submit`), followed by such a task: "
    "a request must be stored before it is handed off, which the first floor leaves out."
)


def measure(plan: Plan) -> Measure:
    """p50 and p99 of the hand-off, idle and at half load, and its CPU."""
    result = Measure("handoff", "From the POST to the extension's socket", EXPLANATION, bars_unit="CPU µs a request")
    with ExitStack() as stack:
        system = stack.enter_context(serving(plan.one_database, EXTENSIONS))
        load, _ = stack.enter_context(fleet(system))
        url = stack.enter_context(fresh(plan.one_database, stack.enter_context(scratch())))
        port, _ = stack.enter_context(floor_web("web", FLOOR_DATABASE_URL=url))
        floor = stack.enter_context(handoff_floor())
        load.call("begin", window=2 * EXTENSIONS, whole=False)
        most = load.call("watch", seconds=plan.pick(5.0, 3.0))
        load.call("stop")
        rate = most["count"] / most["seconds"]
        result.rows.append(Row("hand-offs as fast as they go", "/s", [rate], more_is_better=True))
        for label, at in (("idle", min(IDLE_A_SECOND, rate / 4)), ("half load", max(rate / 2, 1.0))):
            time.sleep(1.0)
            result.notes.append(f"{label.capitalize()}: {at:.1f} requests a second.")
            _report(result, label, *_at(at, plan, system, load, floor, port))
    return result


def _at(
    rate: float, plan: Plan, system: SystemUnderTest, load: Load, floor: HandoffFloor, port: int
) -> list[list[Turn]]:
    at = {"rate": rate, "seconds": plan.pick(8.0, 2.0)}
    return in_turns(
        REPEATS,
        handing_off(load, system.groups, "handoff", **at),
        handing_off(floor.load, floor.groups, "handoff", **at),
        handing_off(floor.load, floor.groups, "handoff_posted", port=port, post=submission(), **at),
    )


def handing_off(load: Load, groups: Callable[[], Groups], do: str, **more: Any) -> Callable[[], Turn]:
    """One turn at a steady rate."""

    def turn() -> Turn:
        counter = Meter(groups)
        counter.start()
        done = load.call(do, **more)
        time.sleep(SETTLE_S)
        return turned(done, counter.used())

    return turn


def turned(done: dict[str, float], used: dict[str, float]) -> Turn:
    """The figures of load generator and meter as a turn. Raises RuntimeError if nothing arrived."""
    if not done["count"]:
        raise RuntimeError(f"nothing arrived: {done}")
    spent = {**used, **({"sending": done["sending"]} if "sending" in done else {"load generator": done["cpu"]})}
    return Turn(
        {name: done[name] for name in ("p50", "p99", "count", "seconds")},
        {name: 1e6 * each / done["count"] for name, each in spent.items()},
    )


def _report(result: Measure, label: str, subject: list[Turn], floor: list[Turn], both: list[Turn]) -> None:
    p50_budget, p99_budget = BUDGETS[label]
    result.rows += [
        Row(f"{label}: p50", "ms", values(subject, "p50"), values(floor, "p50"), p50_budget),
        Row(f"{label}: p99", "ms", values(subject, "p99"), values(floor, "p99"), p99_budget),
        Row(f"{label}: p50, beside both floors in a row", "ms", values(subject, "p50"), values(both, "p50")),
        Row(f"{label}: p99, beside both floors in a row", "ms", values(subject, "p99"), values(both, "p99")),
        Row(f"{label}: CPU of all processes", "µs", cpu(subject), cpu(floor)),
    ]
    result.bars += [Bar(label, average(subject)), Bar(f"{label}, floor", average(floor))]
