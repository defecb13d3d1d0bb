"""What a person at the terminal reads: one line at a time, each with the name of who says it."""

from __future__ import annotations

import sys
from contextlib import suppress

NAME_WIDTH = 10


def say(name: str, line: str) -> None:
    """Print one line of `name`'s. A terminal that is gone is no reason to stop."""
    with suppress(OSError):
        print(f"{name:<{NAME_WIDTH}} | {line}", flush=True)


def tell(text: str) -> None:
    """Print what is to be copied from the terminal: no names before its lines."""
    with suppress(OSError):
        print(f"\n{text}\n", flush=True)


def complain(problem: Exception) -> None:
    """Print the one line that says why nothing is started."""
    with suppress(OSError):
        print(problem, file=sys.stderr, flush=True)
