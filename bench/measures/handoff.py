"""How long a submission takes to reach an extension, against a Celery task's start and one publish to a socket."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from bench.environment import Stand, fleet, floor_web, fresh, scratch, serving, submission
from bench.floor_handoff import HandoffFloor, handoff_floor
from bench.loading import Load
from bench.measures.turns import Turn, average, cpu, in_turns, values
from bench.meter import Groups, Meter
from bench.plan import Plan
from bench.results import Bar, Measure, Row

IDLE_A_SECOND = 20.0
EXTENSIONS = 16
REPEATS = 3
P50_REACH, P99_REACH = 1.5, 3.0
SETTLE_S = 0.3
ELSEWHERE = "idle, to another process"

SAYS = (
    "From the POST's leaving the client to the request's arrival at an extension's socket: validated, an extension chosen, "
    "committed and told by the web process that holds its socket, as `make run` has one; or, where its socket is in another "
    "process, a worker woken, an extension chosen by it and told over Redis. The floor: from a send_task of Celery, over the start "
    "of a task that does nothing, one publish, to one socket of flask-sock. Idle is 20 a second, or a quarter of what the service can hand off where that is less; half load is half of what "
    "the service can hand off, and the floor is given the same. Each request is refused by its extension at once. "
    "At a low rate CPU is mostly what is spent while nothing happens. "
    "Both floors in a row: a POST as in `submit`'s floor, with its one insert and commit, and behind its answer such a task. "
    "No request may be handed on before it is kept, which the floor leaves out."
)


def measure(plan: Plan) -> Measure:
    """p50 and p99 of the way, idle and at half load, and its CPU."""
    result = Measure("handoff", "From the POST to the extension's socket", SAYS, bars_unit="CPU µs a request")
    with ExitStack() as stack:
        stand = stack.enter_context(serving(plan.one_database, EXTENSIONS))
        load, _ = stack.enter_context(fleet(stand))
        url = stack.enter_context(fresh(plan.one_database, stack.enter_context(scratch())))
        port, _ = stack.enter_context(floor_web("web", FLOOR_DATABASE_URL=url))
        floor = stack.enter_context(handoff_floor())
        load.ask("begin", window=2 * EXTENSIONS, whole=False)
        most = load.ask("watch", seconds=plan.pick(5.0, 3.0))
        load.ask("stop")
        rate = most["count"] / most["seconds"]
        result.rows.append(Row("hand-offs as fast as they go", "/s", [rate], more_is_better=True))
        for label, at in (("idle", min(IDLE_A_SECOND, rate / 4)), ("half load", max(rate / 2, 1.0))):
            time.sleep(1.0)
            result.notes.append(f"{label.capitalize()}: {at:.1f} requests a second.")
            _report(result, label, *_at(at, plan, stand, load, floor, port))
        load.ask("post_to", port=stand.another_web())
        _report(result, ELSEWHERE, *_at(min(IDLE_A_SECOND, rate / 4), plan, stand, load, floor, port))
    return result


def _at(rate: float, plan: Plan, stand: Stand, load: Load, floor: HandoffFloor, port: int) -> list[list[Turn]]:
    at = {"rate": rate, "seconds": plan.pick(8.0, 2.0)}
    return in_turns(
        REPEATS,
        handing_off(load, stand.groups, "handoff", **at),
        handing_off(floor.load, floor.groups, "handoff", **at),
        handing_off(floor.load, floor.groups, "handoff_posted", port=port, post=submission(), **at),
    )


def handing_off(load: Load, groups: Callable[[], Groups], do: str, **more: Any) -> Callable[[], Turn]:
    """One turn at a steady rate."""

    def turn() -> Turn:
        counter = Meter(groups)
        counter.start()
        done = load.ask(do, **more)
        time.sleep(SETTLE_S)
        return turned(done, counter.used())

    return turn


def turned(done: dict[str, float], used: dict[str, float]) -> Turn:
    """What a load generator and the meter say, as a turn. Raises RuntimeError where nothing arrived."""
    if not done["count"]:
        raise RuntimeError(f"nothing arrived: {done}")
    spent = {**used, **({"sending": done["sending"]} if "sending" in done else {"load generator": done["cpu"]})}
    return Turn(
        {name: done[name] for name in ("p50", "p99", "count", "seconds")},
        {name: 1e6 * each / done["count"] for name, each in spent.items()},
    )


def _report(result: Measure, label: str, subject: list[Turn], floor: list[Turn], both: list[Turn]) -> None:
    result.rows += [
        Row(f"{label}: p50", "ms", values(subject, "p50"), values(floor, "p50"), P50_REACH),
        Row(f"{label}: p99", "ms", values(subject, "p99"), values(floor, "p99"), P99_REACH),
        Row(f"{label}: p50, beside both floors in a row", "ms", values(subject, "p50"), values(both, "p50")),
        Row(f"{label}: p99, beside both floors in a row", "ms", values(subject, "p99"), values(both, "p99")),
        Row(f"{label}: CPU of all processes", "µs", cpu(subject), cpu(floor)),
    ]
    result.bars += [Bar(label, average(subject)), Bar(f"{label}, floor", average(floor))]
