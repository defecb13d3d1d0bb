"""Runs programs in a process that is monkey-patched by gevent, as the web processes are."""

from __future__ import annotations

import subprocess
import sys
from textwrap import dedent

from tests.support.service import ROOT

PATCHED = """
from gevent import monkey
monkey.patch_all()
"""


def run_under_gevent(*pieces: str, argument: str) -> tuple[str, str]:
    """Run a program of these pieces with this argument; returns its output and its standard error."""
    program = "\n".join(dedent(piece) for piece in (PATCHED, *pieces))
    done = subprocess.run(
        [sys.executable, "-c", program, argument], check=False, cwd=ROOT, capture_output=True, text=True, timeout=100
    )
    return done.stdout, done.stderr
