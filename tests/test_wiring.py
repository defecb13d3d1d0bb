"""How services are joined where the process serves with gevent."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PROGRAM = """
from gevent import monkey
monkey.patch_all()
from app.domain.errors import LeaseLost
from app.wiring import _writer

def refuse():
    raise LeaseLost

try:
    _writer()(refuse)
except LeaseLost:
    print(_writer()(lambda: "refused"))
"""


def test_a_refusal_in_a_thread_of_the_pool_arrives_and_prints_nothing() -> None:
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout == "refused\n"
    assert done.stderr == ""
