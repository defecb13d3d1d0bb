"""Where the processes of this host keep their metrics: a folder for each running instance of a part of the service.

prometheus_client adds up what the processes of one folder have counted. When an instance starts again, its counters begin at 0,
as Prometheus expects; so those of two instances may not be added up: each has a label of its own.
"""

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from app.config import BadSetting
from app.environment import Environment

VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
_LOCK = ".lock"
_held: list[IO[str]] = []  # locks of this process, which last as long as it does


def claim(root: Path, part: str) -> None:
    """Have this process, and those that it starts, count in a folder of their own in `root`, which is empty: `web`, or `web-2` if
    another instance runs. Call it before prometheus_client is imported.

    If the folder cannot be written, it raises BadSetting; but where nobody has named one, each process counts alone.
    """
    if VARIABLE in os.environ:  # it was claimed before, or the operator has chosen it
        return
    try:
        os.environ[VARIABLE] = str(_claimed(root, part))
    except OSError as problem:
        if Environment(os.environ).given("METRICS_FOLDER"):
            raise BadSetting(f"METRICS_FOLDER cannot be used: {problem.strerror}: {problem.filename}.") from None


def instances(root: Path) -> Iterator[Path]:
    """The folders of the instances that run."""
    for folder in sorted(root.glob("*/")):
        if _is_locked(folder):
            yield folder


def _claimed(root: Path, part: str) -> Path:
    number = 1
    while True:
        folder = root / (part if number == 1 else f"{part}-{number}")
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / _LOCK).open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            number += 1
            continue
        _held.append(lock)
        for old in folder.glob("*.db"):
            old.unlink()
        return folder.resolve()


def _is_locked(folder: Path) -> bool:
    try:
        with (folder / _LOCK).open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False
