"""Programs in a process that is patched as the serving ones are."""

from __future__ import annotations

import subprocess
import sys
from textwrap import dedent

from tests.support.service import ROOT

PATCHED = """
from gevent import monkey
monkey.patch_all()
"""


def ran_under_gevent(*pieces: str, given: str) -> tuple[str, str]:
    """What a program of these pieces wrote to its output and to standard error; `given` is its argument."""
    program = "\n".join(dedent(piece) for piece in (PATCHED, *pieces))
    done = subprocess.run(
        [sys.executable, "-c", program, given], check=False, cwd=ROOT, capture_output=True, text=True, timeout=100
    )
    return done.stdout, done.stderr
