"""What is printed for a person at the terminal."""

import sys
from contextlib import suppress

NAME_WIDTH = 10


def print_line(name: str, line: str) -> None:
    """Print one line of the process `name`. A terminal that is gone is no reason to stop."""
    with suppress(OSError):
        print(f"{name:<{NAME_WIDTH}} | {line}", flush=True)


def print_block(text: str) -> None:
    """Print lines to be copied from the terminal, without names in front."""
    with suppress(OSError):
        print(f"\n{text}\n", flush=True)


def print_error(problem: Exception) -> None:
    """Print the one line that says why nothing is started."""
    with suppress(OSError):
        print(problem, file=sys.stderr, flush=True)
