"""`python -m tests.chaos`: break a real service in every way that a seed thinks of, and see whether it keeps its promises."""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sys
import tempfile
from collections import Counter
from dataclasses import asdict
from pathlib import Path

from app.domain.states import Status
from tests.chaos.plan import TURNS, Act, Order, Plan, Source, draw
from tests.chaos.run import Result, carry_out

SHOWN = 40


def main() -> int:
    """Returns the exit status: 0 where every promise was kept."""
    options = _options()
    postgresql = options.database == "postgresql"
    plan = draw(options.seed, options.jobs, options.seconds, postgresql=postgresql, faults=options.faults)
    print(f"seed {plan.seed}: {options.jobs} requests in {plan.seconds:g} s on {options.database}", flush=True)
    folder = Path(tempfile.mkdtemp(prefix="imagefleet-chaos-"))
    result = carry_out(plan, options.database, folder, options.patience, lambda line: print(line, flush=True))
    print("\n".join(_told(plan, result)))
    for violation in result.violations[:SHOWN]:
        print(f"VIOLATION {violation}")
    if result.violations or options.keep:
        _write_down(result, folder)
        print(f"what the processes said, and all events, are in {folder}")
    else:
        shutil.rmtree(folder)
    return 1 if result.violations else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000))
    parser.add_argument("--jobs", type=int, default=300)
    parser.add_argument("--seconds", type=float, default=90.0, help="in which requests come and things break")
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--faults", type=int, help="how many; one for every four seconds by default")
    parser.add_argument("--patience", type=float, default=90.0, help="seconds to come to rest after it")
    parser.add_argument("--keep", action="store_true", help="keep logs and database")
    return parser.parse_args()


def _told(plan: Plan, result: Result) -> list[str]:
    history = result.history
    rows = history.ending.rows.values()
    outcomes = Counter(row.status if row.error_code is None else f"{row.status} {row.error_code}" for row in rows)
    requeues = sum(fact.type.endswith("RequeuedEvent") for log in history.ending.log.values() for fact in log)
    late = sum(report.refused is not None for report in history.records.reported)
    records = history.records
    unknown = Counter(f"unanswered ({each.split()[-1]})" for each in records.unknown)
    return [
        f"faults survived: {_counted(result.survived)}",
        f"processes started again: {_counted(result.restarts)}",
        f"requests: {len(rows)} ({len(records.acknowledged)} acknowledged); {_counted(outcomes)}",
        f"failed though neither refused nor bound to fail: {_needless(plan, result)}",
        f"requeues: {requeues}; reports: {len(records.reported)}, refused: {late}; offers: {len(records.offered)}",
        f"clients: {len(records.statuses)} answers, {len(records.events)} events; {_counted(unknown)}",
        f"refused requests: {len(records.refusals)} {records.refusals[:3]}",
        f"duration {result.duration_s:.0f} s; at rest {result.quiet_after_s:.1f} s after the last fault",
        f"violations: {len(result.violations)}",
    ]


def _needless(plan: Plan, result: Result) -> int:
    """How many requests failed that nothing in the plan made fail: they had more than their share of bad luck."""
    failed = [row.number for row in result.history.ending.rows.values() if row.status == Status.FAILED]
    return sum(not _bound_to_fail(plan.orders[number]) for number in failed)


def _bound_to_fail(order: Order) -> bool:
    hopeless = any(turn.act is Act.REFUSED or turn.source is Source.GONE for turn in order.turns)
    return hopeless or order.deadline_ms is not None or len(order.turns) > TURNS


def _write_down(result: Result, folder: Path) -> None:
    """Every event of every request, and what clients and extensions saw, each in the order of time."""
    facts = [(fact.at, job_id, fact) for job_id, log in result.history.ending.log.items() for fact in log]
    with (folder / "events.jsonl").open("w") as file:
        for at, job_id, fact in sorted(facts, key=lambda each: (each[0], each[1], each[2].seq)):
            number = result.history.ending.rows[job_id].number
            print(json.dumps([fact.type, at, number, fact.seq, job_id, fact.data]), file=file)
    with (folder / "seen.jsonl").open("w") as file:
        for kind, seen in vars(result.history.records).items():
            for each in seen:
                print(json.dumps([kind, each if isinstance(each, str) else asdict(each)]), file=file)


def _counted(counter: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counter.items())) or "none"


if __name__ == "__main__":
    sys.exit(main())
