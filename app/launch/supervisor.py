"""Keeps services running: starts them, restarts what ends with back-off, stops them in the reverse order."""

from __future__ import annotations

import asyncio
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Self

from app.launch.service import Process, Service

Say = Callable[[str, str], None]

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
ONE_REQUEST_S = 0.5  # a terminal and `make` may both pass one Ctrl-C on: what comes this close together is one request


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long to wait before a restart: doubling, and from the start again after a life of `healthy_s` seconds."""

    first_s: float = 0.5
    most_s: float = 30.0
    healthy_s: float = 30.0

    def delay_s(self, short_lives: int) -> float:
        """The pause after so many short lives in a row, 1 being the first."""
        return float(min(self.most_s, self.first_s * 2 ** min(short_lives - 1, 16)))


class Supervisor:
    """Runs services inside an `async with` of the main thread; leaving it stops them all, the last one first.

    The first SIGINT, SIGTERM or SIGHUP ends the block quietly wherever it waits; a second one ends everybody's grace.
    After the block these signals are ignored: it is the last thing that a process does.
    `say(name, line)` tells what happens. `output(name, line)` gets what the services print; without it they print where
    we do. `stop_together` stops them at once instead of one after the other.
    """

    def __init__(
        self, say: Say, output: Say | None = None, backoff: Backoff | None = None, *, stop_together: bool = False
    ) -> None:
        self.short_lives: Counter[str] = Counter()  # by name: how often in a row it ended soon after its start
        self._say = say
        self._output = output
        self._backoff = backoff or Backoff()
        self._stop_together = stop_together
        self._kept: list[asyncio.Task[None]] = []
        self._block: asyncio.Task[None] | None = None
        self._requested_at: float | None = None
        self._hurry = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._block = asyncio.current_task()
        for number in STOPPING:
            asyncio.get_running_loop().add_signal_handler(number, self._on_request)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> bool:
        block, self._block = self._block, None
        await self._stop()
        for number in STOPPING:
            asyncio.get_running_loop().remove_signal_handler(number)
            signal.signal(number, signal.SIG_IGN)  # one more Ctrl-C changes nothing about a stop that is done
        if block is None or self._requested_at is None or kind is not asyncio.CancelledError:
            return False
        block.uncancel()
        return True

    def start(self, service: Service) -> None:
        """Start it and keep it running."""
        self._kept.append(asyncio.create_task(self._keep(service)))

    async def run(self) -> None:
        """Keep them running until somebody asks us to stop."""
        await asyncio.Event().wait()

    def _on_request(self) -> None:
        now = time.monotonic()
        if self._requested_at is None:
            self._requested_at = now
            if self._block is not None:
                self._block.cancel()
        elif now - self._requested_at >= ONE_REQUEST_S:
            self._hurry.set()

    async def _stop(self) -> None:
        last_first = self._kept[::-1]
        for wave in [last_first] if self._stop_together else [[kept] for kept in last_first]:
            for kept in wave:
                kept.cancel()
            await asyncio.gather(*wave, return_exceptions=True)

    async def _keep(self, service: Service) -> None:
        while True:
            started_at = time.monotonic()
            why = await self._live(service)
            if time.monotonic() - started_at >= self._backoff.healthy_s:
                del self.short_lives[service.name]
            self.short_lives[service.name] += 1
            delay_s = self._backoff.delay_s(self.short_lives[service.name])
            self._say(service.name, f"{why}; it is started again in {delay_s:g} s")
            await asyncio.sleep(delay_s)

    async def _live(self, service: Service) -> str:
        """One life of the service; returns what there is to say about its end."""
        try:
            process = await Process.start(service, self._output and partial(self._output, service.name))
        except OSError as problem:
            return f"cannot be started ({problem})"
        try:
            return f"ended with status {await process.ended()}"
        except asyncio.CancelledError:
            if not await process.stop(self._hurry):
                self._say(service.name, "did not end in time and was killed")
            raise
