"""`python -m tests.hosts`: run the service on four hosts of a virtual network, and disconnect each host for a while."""

from __future__ import annotations

import argparse
import os
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
from tests.support.s3 import CREDENTIALS

SHOWN = 40


def main() -> int:
    """Returns the exit status: 0 if every guarantee was kept, 2 if this machine cannot create the network."""
    options = _options()
    print(
        f"seed {options.seed}: {options.jobs} requests in {options.seconds:g} s, each host disconnected for {options.cut:g} s"
    )
    folder = Path(tempfile.mkdtemp(prefix="imagefleet-hosts-"))
    plan = draw(options.seed, options.jobs, options.seconds)
    os.environ.update(CREDENTIALS)
    try:
        bucket = options.storage == "s3"
        result = execute(plan, options.cut, options.beats, folder, _print, bare=options.bare, bucket=bucket)
    except CannotBuild as problem:
        shutil.rmtree(folder)
        print(problem, file=sys.stderr)
        return 2
    except BaseException:
        print(f"the logs of the processes are in {folder}", file=sys.stderr)
        raise
    print("\n".join(_summary(result)))
    for violation in result.violations[:SHOWN]:
        print(f"VIOLATION {violation}")
    if result.violations or options.keep:
        print(f"the logs of the processes are in {folder}")
    else:
        shutil.rmtree(folder)
    return 1 if result.violations else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.hosts", description=__doc__)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000))
    parser.add_argument("--jobs", type=int, default=300)
    parser.add_argument("--seconds", type=float, default=100.0, help="for which requests are submitted")
    parser.add_argument("--cut", type=float, default=15.0, help="seconds for which a host is disconnected")
    parser.add_argument("--beats", type=int, choices=(1, 2), default=1, help="2: a beat on each worker host")
    parser.add_argument(
        "--bare", action="store_true", help="disable the time-outs of silent connections in DATABASE_URL"
    )
    parser.add_argument(
        "--storage", choices=("folder", "s3"), default="folder", help="s3: a bucket, and no folder that hosts share"
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
            f"posted at {a.posted_at}, made at {a.made_at}: offered after {a.handover_ms:.0f} ms, "
            f"progress received after {a.progress_ms:.0f} ms"
            for a in result.cross_host
        ),
        "",
        HEAD,
        *(_line(report) for report in result.reports),
        "",
        f"requests: {len(rows)} ({len(records.acknowledged)} acknowledged); {_counted(outcomes)}",
        f"requeued: {_counted(requeues)}",
        f"unanswered requests of clients: {unanswered}; refused: {len(records.refusals)} {records.refusals[:3]}",
        f"processes started again: {_counted(result.restarts)}",
        f"the slowest took {slowest_s(result.history):.1f} s; all had ended {result.rest_s:.1f} s after the last was accepted; violations: {len(result.violations)}",
    ]


HEAD = (
    "host      | for    | open then, held by its extensions | all ended after | longest time without an ending | "
    "extensions reconnected after | recovered after reconnection"
)


def _line(report: OutageReport) -> str:
    outage = report.outage
    again = "-" if outage.reconnected_s is None else f"{outage.reconnected_s:.1f} s"
    return (
        f"{outage.host:<9} | {outage.ended - outage.at:4.1f} s | {report.open}, {report.held} | {report.ended_s:.1f} s | {report.pause_s:.1f} s | "
        f"{again} | {outage.recovered_s:.1f} s"
    )


def _counted(counter: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counter.items())) or "none"


if __name__ == "__main__":
    sys.exit(main())
