"""`python -m bench run`: measure this service. `python -m bench compare A.json B.json`: compare two results."""

from __future__ import annotations

import argparse
import importlib
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from bench import compare, page
from bench.environment import USERS
from bench.figures import formatted
from bench.machine import describe_machine
from bench.plan import DATABASES, Plan
from bench.results import Measure, Result, Row

RESULTS = Path(__file__).parent / "results"
MEASURES = (
    "submit",
    "handoff",
    "jobs",
    "pictures",
    "thumbnails",
    "sockets",
    "growth",
    "batches",
    "status",
    "webhooks",
    "storage",
    "reports",
    "start",
)


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit status."""
    chosen = _parser().parse_args(arguments)
    if chosen.do == "compare":
        print(compare.table(Result.load(chosen.before), Result.load(chosen.after)))
        return 0
    if chosen.do == "page":
        chosen.result.with_suffix(".html").write_text(page.html(Result.load(chosen.result)))
        return 0
    plan = Plan(chosen.quick, chosen.growth == "full", chosen.database)
    return run(plan, chosen.only or MEASURES, chosen.out)


def run(plan: Plan, names: tuple[str, ...], out: Path | None = None) -> int:
    """Run the measures one after the other; the result is written after each of them."""
    growth = "full" if plan.full_growth else "smaller"
    settings = {"quick": plan.quick, "growth": growth, "database": plan.database, "users": len(USERS)}
    result = Result(describe_machine(), settings)
    path = out or RESULTS / f"{datetime.now(UTC):%Y%m%d-%H%M%S}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    failed = 0
    for name in names:
        print(f"{name} …", flush=True)
        begun = time.monotonic()
        try:
            measure: Measure = importlib.import_module(f"bench.measures.{name}").measure(plan)
        except Exception as problem:  # noqa: BLE001 - the other measures still run; the exit status reports the failure
            failed += 1
            print(f"  {name} could not be measured: {type(problem).__name__}: {problem}", file=sys.stderr)
            continue
        measure.seconds = round(time.monotonic() - begun, 1)
        result.measures.append(measure)
        for row in measure.rows:
            print(f"  {row_text(row)}")
        for note in measure.notes:
            print(f"  {note}")
        result.save(path)
        path.with_suffix(".html").write_text(page.html(result))
    print(f"{path}\n{path.with_suffix('.html')}")
    return 1 if failed else 0


def row_text(row: Row) -> str:
    """One line about one quantity."""
    text = f"{row.label:<58} {formatted(row.spread.median):>10} {row.unit}"
    if row.floor_spread is None or row.ratio is None:
        return f"{text}  ({formatted(row.spread.low)} to {formatted(row.spread.high)})"
    ratio = f"{row.ratio.median:.2f} × ({row.ratio.low:.2f} to {row.ratio.high:.2f})"
    verdict = {None: "", True: f"  within {row.budget} ×", False: f"  OVER {row.budget} ×"}[row.held]
    return f"{text}  floor {formatted(row.floor_spread.median)}  {ratio}{verdict}"


def _names(text: str) -> tuple[str, ...]:
    names = tuple(filter(None, text.split(",")))
    if unknown := set(names) - set(MEASURES):
        raise argparse.ArgumentTypeError(f"{', '.join(sorted(unknown))}: there are {', '.join(MEASURES)}")
    return names


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    does = parser.add_subparsers(dest="do", required=True)
    running = does.add_parser("run", help="measure")
    running.add_argument("--only", type=_names, help=f"some of {','.join(MEASURES)}")
    running.add_argument("--quick", action="store_true", help="shorter and smaller: checks that the benchmark works")
    running.add_argument(
        "--growth", choices=("full", "smaller"), default="smaller", help="how many rows a large database has"
    )
    running.add_argument("--database", choices=DATABASES, help="only this database")
    running.add_argument("--out", type=Path, help="path of the JSON; the page is written beside it")
    comparing = does.add_parser("compare", help="compare two results")
    comparing.add_argument("before", type=Path)
    comparing.add_argument("after", type=Path)
    paging = does.add_parser("page", help="regenerate the page of a result")
    paging.add_argument("result", type=Path)
    return parser


if __name__ == "__main__":
    sys.exit(main())
