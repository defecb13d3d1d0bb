"""`python -m tests.hosts`: the service on four hosts of a network made here, which are cut off and come back."""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path

from tests.chaos.observer_checks import REQUEUED
from tests.hosts.network import CannotBuild
from tests.hosts.outages import OutageReport, slowest_s
from tests.hosts.requests import draw
from tests.hosts.run import Result, execute

SHOWN = 40


def main() -> int:
    """Returns the exit status: 0 where every promise was kept, 2 where this machine cannot do it."""
    options = _options()
    print(
        f"seed {options.seed}: {options.jobs} requests in {options.seconds:g} s, each host cut off for {options.cut:g} s"
    )
    folder = Path(tempfile.mkdtemp(prefix="imagefleet-hosts-"))
    plan = draw(options.seed, options.jobs, options.seconds)
    try:
        result = execute(plan, options.cut, options.beats, folder, _print, bare=options.bare)
    except CannotBuild as problem:
        shutil.rmtree(folder)
        print(problem, file=sys.stderr)
        return 2
    except BaseException:
        print(f"what the processes said is in {folder}", file=sys.stderr)
        raise
    print("\n".join(_summary(result)))
    for violation in result.violations[:SHOWN]:
        print(f"VIOLATION {violation}")
    if result.violations or options.keep:
        print(f"what the processes said is in {folder}")
    else:
        shutil.rmtree(folder)
    return 1 if result.violations else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.hosts", description=__doc__)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000))
    parser.add_argument("--jobs", type=int, default=300)
    parser.add_argument("--seconds", type=float, default=100.0, help="in which requests come")
    parser.add_argument("--cut", type=float, default=15.0, help="seconds for which a host is cut off")
    parser.add_argument("--beats", type=int, choices=(1, 2), default=1, help="2: a beat on each worker host")
    parser.add_argument(
        "--bare", action="store_true", help="have DATABASE_URL switch off the time-outs of silent connections"
    )
    parser.add_argument("--keep", action="store_true", help="keep logs")
    return parser.parse_args()


def _print(line: str) -> None:
    print(line, flush=True)


def _summary(result: Result) -> list[str]:
    rows = result.history.final.rows.values()
    outcomes = Counter(row.status if row.error_code is None else f"{row.status} {row.error_code}" for row in rows)
    events = [event for log in result.history.final.log.values() for event in log]
    requeues = Counter(event.data["reason"] for event in events if event.type == REQUEUED)
    records = result.history.records
    unanswered = len(records.unknown)
    return [
        "",
        *(
            f"posted at {a.posted_at}, made at {a.made_at}: handed over after {a.handover_ms:.0f} ms, "
            f"progress told after {a.progress_ms:.0f} ms"
            for a in result.cross_host
        ),
        "",
        HEAD,
        *(_line(report) for report in result.outages),
        "",
        f"requests: {len(rows)} ({len(records.acknowledged)} acknowledged); {_counted(outcomes)}",
        f"given back: {_counted(requeues)}",
        f"requests of clients that nobody answered: {unanswered}; refused: {len(records.refusals)} {records.refusals[:3]}",
        f"processes started again: {_counted(result.restarts)}",
        f"the slowest took {slowest_s(result.history):.1f} s; at rest {result.rest_s:.1f} s after the last was taken; violations: {len(result.violations)}",
    ]


HEAD = (
    "cut off   | for    | open then, in its extensions' hands | had all ended after | longest pause of endings | "
    "extensions elsewhere after | at work after its cable was back"
)


def _line(report: OutageReport) -> str:
    cut = report.cut
    again = "-" if cut.in_again_s is None else f"{cut.in_again_s:.1f} s"
    return (
        f"{cut.host:<9} | {cut.mended - cut.at:4.1f} s | {report.open}, {report.held} | {report.ended_s:.1f} s | {report.pause_s:.1f} s | "
        f"{again} | {cut.back_s:.1f} s"
    )


def _counted(counter: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counter.items())) or "none"


if __name__ == "__main__":
    sys.exit(main())
