"""Keeps processes running: starts them, restarts with back-off what ends, stops them in the reverse order."""

import asyncio
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Self

from app.launch.process import Command, Process

Report = Callable[[str, str], None]

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
SAME_SIGNAL_S = 0.5  # a terminal and `make` may both pass on one Ctrl-C: two signals this close together are one


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long to wait before a restart: doubling, and reset once a process has run for `healthy_s` seconds."""

    first_s: float = 0.5
    most_s: float = 30.0
    healthy_s: float = 30.0

    def delay_s(self, quick_exits: int) -> float:
        """The pause (s) after this many quick exits in a row, 1 being the first."""
        return float(min(self.most_s, self.first_s * 2 ** min(quick_exits - 1, 16)))


class Supervisor:
    """Runs processes inside an `async with` of the main thread; leaving it stops them all, the last one first.

    The first SIGINT, SIGTERM or SIGHUP ends the block quietly wherever it waits; a second one kills what still runs.
    After the block these signals are ignored: it is the last thing that a process does.
    `report(name, line)` gets what happens to a process, `output(name, line)` what it prints; without `output` it prints
    where we do. `stop_together` stops all of them at the same time instead of one after the other.
    """

    def __init__(
        self,
        report: Report,
        output: Report | None = None,
        backoff: Backoff | None = None,
        *,
        stop_together: bool = False,
    ) -> None:
        self.quick_exits: Counter[str] = Counter()  # by name: how often in a row it ended soon after its start
        self._report = report
        self._output = output
        self._backoff = backoff or Backoff()
        self._stop_together = stop_together
        self._tasks: list[asyncio.Task[None]] = []
        self._block: asyncio.Task[None] | None = None
        self._signalled_at: float | None = None
        self._at_once = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._block = asyncio.current_task()
        for number in STOPPING:
            asyncio.get_running_loop().add_signal_handler(number, self._on_signal)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> bool:
        block, self._block = self._block, None
        await self._stop()
        for number in STOPPING:
            asyncio.get_running_loop().remove_signal_handler(number)
            signal.signal(number, signal.SIG_IGN)  # one more Ctrl-C changes nothing about a stop that is done
        if block is None or self._signalled_at is None or kind is not asyncio.CancelledError:
            return False
        block.uncancel()
        return True

    def start(self, command: Command) -> None:
        """Start it and keep it running."""
        self._tasks.append(asyncio.create_task(self._keep_running(command)))

    async def run(self) -> None:
        """Keep them running until a signal ends the block."""
        await asyncio.Event().wait()

    def _on_signal(self) -> None:
        now = time.monotonic()
        if self._signalled_at is None:
            self._signalled_at = now
            if self._block is not None:
                self._block.cancel()
        elif now - self._signalled_at >= SAME_SIGNAL_S:
            self._at_once.set()

    async def _stop(self) -> None:
        last_first = self._tasks[::-1]
        for wave in [last_first] if self._stop_together else [[task] for task in last_first]:
            for task in wave:
                task.cancel()
            await asyncio.gather(*wave, return_exceptions=True)

    async def _keep_running(self, command: Command) -> None:
        while True:
            started_at = time.monotonic()
            end = await self._run_once(command)
            if time.monotonic() - started_at >= self._backoff.healthy_s:
                del self.quick_exits[command.name]
            self.quick_exits[command.name] += 1
            delay_s = self._backoff.delay_s(self.quick_exits[command.name])
            self._report(command.name, f"{end}; restarting in {delay_s:g} s")
            await asyncio.sleep(delay_s)

    async def _run_once(self, command: Command) -> str:
        """Run it until it ends; how it ended, for a person."""
        try:
            process = await Process.start(command, self._output and partial(self._output, command.name))
        except OSError as problem:
            return f"cannot be started ({problem})"
        try:
            return f"exited with status {await process.ended()}"
        except asyncio.CancelledError:
            if not await process.stop(self._at_once):
                self._report(command.name, "did not stop in time and was killed")
            raise
