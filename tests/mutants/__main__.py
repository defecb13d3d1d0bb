"""Tries small changes of the core against its tests: `make mutants`, or `python -m tests.mutants --size 20`.

The changes are a fixed sample (`sample.py`). Each is made in a copy of the tree, where the tests that cover the changed line
are run. An interrupted run continues where it stopped, as long as nothing else was committed.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import shutil
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

from cosmic_ray.mutating import mutate_and_test
from cosmic_ray.work_db import WorkDB, use_db
from cosmic_ray.work_item import WorkItem, WorkResult

from tests.mutants import operators, report, sample
from tests.mutants.covering import Covering, measure

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / ".mutants"
TIMEOUT_S = 1_800.0  # each test has its own, shorter limit
PYTEST = "-m pytest -x -q --no-header --timeout 60 -p no:cacheprovider @tests.txt"


def main() -> None:
    """Do the whole run; returns 1 if too few changes were noticed."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--size", type=int, default=400, help="how many changes are tried")
    arguments.add_argument("--workers", type=int, default=2, help="how many at once")
    given = arguments.parse_args()
    os.chdir(ROOT)
    operators.install()
    commit = _git("rev-parse", "--short", "HEAD").strip()
    data_file, session_file = FOLDER / f"{commit}.coverage", FOLDER / f"{commit}-{given.size}.sqlite"
    FOLDER.mkdir(exist_ok=True)
    if not data_file.exists():
        _measure(data_file)
    with use_db(str(session_file), WorkDB.Mode.create) as session:
        if not session.num_work_items:
            sample.fill(session, given.size)
        _run(session, Covering(data_file), given.workers)
        results = dict(session.results)
        tried = report.changes((item, results[item.job_id]) for item in session.work_items)
    sys.exit(0 if report.show(tried, report.known_equivalents()) else 1)


def _measure(data_file: Path) -> None:
    unfinished = data_file.with_suffix(".unfinished")
    measure(unfinished)
    unfinished.rename(data_file)


def _run(session: WorkDB, covering: Covering, workers: int) -> None:
    pending = list(session.pending_work_items)
    folders: multiprocessing.Queue[Path] = multiprocessing.Queue()
    for number in range(workers):
        folders.put(_copy(FOLDER / f"tree{number}"))
    with ProcessPoolExecutor(workers, initializer=_enter, initargs=(folders,)) as pool:
        tests = {item.job_id: _tests_of(covering, item) for item in pending}
        running = {pool.submit(_try, item, tests[item.job_id]): item for item in pending}
        for done, future in enumerate(as_completed(running), 1):
            item, result = running[future], future.result()
            session.set_result(item.job_id, result)
            _show(f"{done}/{len(pending)}", item, result)


def _tests_of(covering: Covering, item: WorkItem) -> list[str]:
    spec = item.mutations[0]
    return covering.tests_of(spec.module_path, spec.start_pos[0])


def _enter(folders: multiprocessing.Queue[Path]) -> None:
    os.chdir(folders.get())


def _try(item: WorkItem, tests: list[str]) -> WorkResult:
    Path("tests.txt").write_text("\n".join(tests))
    return mutate_and_test(item.mutations, f"{sys.executable} {PYTEST}" if tests else "true", TIMEOUT_S)


def _show(progress: str, item: WorkItem, result: WorkResult) -> None:
    spec = item.mutations[0]
    verdict = "noticed" if report.is_noticed(result) else "NOT NOTICED"
    print(f"{progress} {spec.module_path}:{spec.start_pos[0]} {spec.operator_name.split('/')[1]} {verdict}", flush=True)


def _copy(folder: Path) -> Path:
    """A copy of the committed tree, with the same packages."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    archive = subprocess.run(["git", "archive", "HEAD"], cwd=ROOT, check=True, capture_output=True).stdout
    subprocess.run(["tar", "-x", "-C", folder], input=archive, check=True)
    (folder / ".venv").symlink_to(ROOT / ".venv")
    return folder


def _git(*words: str) -> str:
    return subprocess.run(["git", *words], cwd=ROOT, check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    main()
