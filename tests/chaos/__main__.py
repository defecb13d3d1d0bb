"""`python -m tests.chaos`: inject random faults into a running service and check that it keeps its guarantees."""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from app.domain.states import Status
from tests.chaos.hook_history import Arrival
from tests.chaos.plan import PLANNED_ATTEMPTS, Behaviour, Plan, PlannedRequest, Source, draw
from tests.chaos.run import Result, execute

SHOWN = 40


def main() -> int:
    """Returns the exit status: 0 if every guarantee was kept."""
    options = _options()
    postgresql = options.database == "postgresql"
    plan = draw(options.seed, options.jobs, options.seconds, postgresql=postgresql, faults=options.faults)
    items = sum(len(batch.items) for batch in plan.batches)
    print(
        f"seed {plan.seed}: {options.jobs} requests, {len(plan.batches)} batches of {items} items in {plan.seconds:g} s on {options.database}",
        flush=True,
    )
    folder = Path(tempfile.mkdtemp(prefix="imagefleet-chaos-"))
    result = execute(plan, options.database, folder, options.patience, lambda line: print(line, flush=True))
    print("\n".join(_summary(plan, result)))
    for violation in result.violations[:SHOWN]:
        print(f"VIOLATION {violation}")
    if result.violations or options.keep:
        _write_down(result, folder)
        print(f"the logs of the processes and all events are in {folder}")
    else:
        shutil.rmtree(folder)
    return 1 if result.violations else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000))
    parser.add_argument("--jobs", type=int, default=300)
    parser.add_argument(
        "--seconds", type=float, default=90.0, help="for which requests are submitted and faults injected"
    )
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--faults", type=int, help="number of faults; by default one every four seconds")
    parser.add_argument(
        "--patience", type=float, default=90.0, help="seconds to wait for all requests to end afterwards"
    )
    parser.add_argument("--keep", action="store_true", help="keep logs and database")
    return parser.parse_args()


def _summary(plan: Plan, result: Result) -> list[str]:
    history = result.history
    rows = history.final.rows.values()
    outcomes = Counter(row.status if row.error_code is None else f"{row.status} {row.error_code}" for row in rows)
    requeues = sum(event.type.endswith("RequeuedEvent") for log in history.final.log.values() for event in log)
    late = sum(report.refused is not None for report in history.records.reported)
    records = history.records
    unknown = Counter(f"unanswered ({each.split()[-1]})" for each in records.unknown)
    return [
        f"faults survived: {_counted(result.survived)}",
        f"processes started again: {_counted(result.restarts)}",
        f"requests: {len(rows)} ({len({each.client for each in records.acknowledged})} acknowledged); {_counted(outcomes)}",
        f"failed without a reason in the plan: {_needless(plan, result)}",
        f"batches: {', '.join(f'{each.status} {each.counts}' for each in history.final.batches.values())}",
        f"requeues: {requeues}; reports: {len(records.reported)}, refused: {late}; offers: {len(records.offered)}",
        f"clients: {len(records.statuses)} answers, {len(records.events)} events; {_counted(unknown)}",
        f"webhooks: {len(history.hooks)}; {_arrivals(records.arrivals)}",
        f"refused requests: {len(records.refusals)} {records.refusals[:3]}",
        f"duration {result.duration_s:.0f} s; all requests ended {result.quiet_after_s:.1f} s after the last fault",
        f"violations: {len(result.violations)}",
    ]


def _arrivals(arrivals: Sequence[Arrival]) -> str:
    events = len({(each.path, each.event_id) for each in arrivals})
    return f"{len(arrivals)} attempts with {events} events reached the receiver: {_counted(Counter(each.reply.name.lower() for each in arrivals))}"


def _needless(plan: Plan, result: Result) -> int:
    """How many requests failed although the plan gives no reason: they were hit by too many faults."""
    failed = [row.number for row in result.history.final.rows.values() if row.status == Status.FAILED]
    return sum(not _bound_to_fail(plan.request(number)) for number in failed)


def _bound_to_fail(request: PlannedRequest) -> bool:
    hopeless = any(turn.behaviour is Behaviour.REFUSED or turn.source is Source.GONE for turn in request.attempts)
    return hopeless or request.deadline_ms is not None or len(request.attempts) > PLANNED_ATTEMPTS


def _write_down(result: Result, folder: Path) -> None:
    """Every event of every request, and everything that clients and extensions observed, each in chronological order."""
    events = [(event.at, job_id, event) for job_id, log in result.history.final.log.items() for event in log]
    with (folder / "events.jsonl").open("w") as file:
        for at, job_id, event in sorted(events, key=lambda each: (each[0], each[1], each[2].seq)):
            number = result.history.final.rows[job_id].number
            print(json.dumps([event.type, at, number, event.seq, job_id, event.data]), file=file)
    with (folder / "seen.jsonl").open("w") as file:
        for kind, seen in vars(result.history.records).items():
            for each in seen:
                print(json.dumps([kind, each if isinstance(each, str) else asdict(each)], default=repr), file=file)


def _counted(counter: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counter.items())) or "none"


if __name__ == "__main__":
    sys.exit(main())
