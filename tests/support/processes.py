"""Processes that tests start: their output, their child processes, and their end."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

from tests.support.waiting import until

MARK = "IMAGEFLEET_TEST_MARK"


def ends_within(process: subprocess.Popen[Any], seconds: float) -> bool:
    """Wait for a process that was asked to end; kill it after the timeout and return False."""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return False
    return True


class StartedProcess:
    """A process that writes to a log file. A mark in the environment identifies it and all its descendants."""

    def __init__(self, process: subprocess.Popen[bytes], mark: str, log: Path) -> None:
        self.process = process
        self._mark = mark
        self._log = log

    @property
    def output(self) -> str:
        """What the process and its descendants have printed so far."""
        return self._log.read_text(errors="replace")

    def wait_for_output(self, text: str, timeout_s: float = 60.0) -> None:
        """Wait for `text` in its output."""
        try:
            until(lambda: text in self.output, timeout_s, text)
        except AssertionError as problem:
            raise AssertionError(f"{problem}\nIts output:\n{self.output}") from None

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the process alone, as `kill` does."""
        self.process.send_signal(number)

    def wait_for_exit(self, timeout_s: float = 60.0) -> int:
        """Wait for the process to end; returns its exit status (negative for a signal)."""
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it still runs after {timeout_s:g} s; its output:\n{self.output}") from None

    def family(self) -> list[psutil.Process]:
        """All running processes with its mark, whatever their parents are now."""
        return [process for process in psutil.process_iter() if _mark_of(process) == self._mark]

    def wait_until_all_ended(self, timeout_s: float = 30.0) -> None:
        """Wait until the process and all its descendants have ended."""
        until(lambda: not self.family(), timeout_s, f"the end of {self.family()}")

    def end(self) -> None:
        """Kill the process and those of its descendants that still run."""
        self.process.kill()
        while left := self.family():
            for process in left:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
            psutil.wait_procs(left, 5)
        self.process.wait(5)


@contextmanager
def started(command: Sequence[str], cwd: Path, env: Mapping[str, str] | None = None) -> Iterator[StartedProcess]:
    """Run `command` in `cwd` with `env` added to our environment; all its processes are killed at the end of the block."""
    mark = uuid.uuid4().hex
    with tempfile.NamedTemporaryFile(prefix="imagefleet-test-", suffix=".log") as log:
        process = subprocess.Popen(
            command,
            cwd=cwd,
            # setproctitle, which gunicorn and Celery use if it is installed, would overwrite the environment in /proc
            env={**os.environ, **(env or {}), MARK: mark, "SPT_NOENV": "1"},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        run = StartedProcess(process, mark, Path(log.name))
        try:
            yield run
        finally:
            run.end()


def _mark_of(process: psutil.Process) -> str | None:
    try:
        ended = process.status() == psutil.STATUS_ZOMBIE
        return None if ended else process.environ().get(MARK)
    except psutil.Error:
        return None
