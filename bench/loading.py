"""Processes that put load on a server, told what to do over their stdin."""

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
    """One such process."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    @property
    def pid(self) -> int:
        """For its CPU."""
        return self._process.pid

    def ask(self, do: str, **more: Any) -> dict[str, Any]:
        """Have it do something; what came of it. Raises RuntimeError where it died of that."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"do": do, **more}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the load generator ended while it was to {do}; what it said stands above")
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
