"""The Procfile: a line for each process, `name: command`."""

import re
import shlex
from pathlib import Path

from app.launch.checks import NotReady

LINE = re.compile(r"([A-Za-z0-9_-]+):\s*(\S.*)")


def read_procfile(path: Path) -> dict[str, tuple[str, ...]]:
    """Its processes in its order, each command split into words: no shell runs in between.

    Raises NotReady with the line that cannot be read.
    """
    processes: dict[str, tuple[str, ...]] = {}
    for number, line in enumerate(_text(path).splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        place = f"{path.name}, line {number}"
        found = LINE.fullmatch(line.strip())
        if not found or found[1] in processes:
            raise NotReady(f"{place}: {line!r} must be `name: command`, with a name that no other line has.")
        try:
            processes[found[1]] = tuple(shlex.split(found[2]))
        except ValueError as problem:
            raise NotReady(f"{place}: {found[2]!r} cannot be read ({problem}).") from None
    return processes


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError as problem:
        raise NotReady(f"{path} cannot be read ({problem.strerror}).") from None
