"""Load generators: processes that execute commands from their stdin."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

from app.launch.parent_death import end_with_parent
from tests.support.processes import ends_within
from tests.support.service import ROOT


class Load:
    """One load generator."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    @property
    def pid(self) -> int:
        """The process ID, to measure its CPU."""
        return self._process.pid

    def call(self, do: str, **more: Any) -> dict[str, Any]:
        """Execute a command and return its result. Raises RuntimeError if the process ended."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"do": do, **more}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the load generator ended during the command {do}; see its output above")
        answer: dict[str, Any] = json.loads(line)
        return answer


@contextmanager
def loading(module: str, env: Mapping[str, str] | None = None) -> Iterator[Load]:
    """Run `module` until the end of the block."""
    process = subprocess.Popen(
        [sys.executable, "-m", module],
        cwd=ROOT,
        env={**os.environ, **(env or {})},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=partial(end_with_parent, os.getpid()),  # noqa: PLW1509 - two system calls, and no lock
    )
    try:
        yield Load(process)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        ends_within(process, 10)
