"""One process that is kept running: how it is started, what it prints, how it ends."""

from __future__ import annotations

import asyncio
import os
import signal
from asyncio.subprocess import DEVNULL, create_subprocess_exec
from asyncio.subprocess import Process as Child
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Self

from app.launch.parent_death import end_with_parent

Hear = Callable[[str], None]

READ_BYTES = 65_536
LAST_WORDS_S = 1.0  # a process outside the group may hold the pipe open; nobody waits longer for what it says


@dataclass(frozen=True, slots=True)
class Service:
    """What to run: `grace_s` is how long it may take to end after SIGTERM, `env` is added to our own environment."""

    name: str
    command: tuple[str, ...]
    grace_s: float = 10.0
    env: Mapping[str, str] = field(default_factory=dict)


class Process:
    """A service that was started, in a process group of its own so that Ctrl-C at the terminal reaches us alone.

    It ends when we end, however that comes about. Build it with `start`.
    """

    def __init__(self, service: Service, child: Child, output: asyncio.Task[None] | None) -> None:
        self._service = service
        self._child = child
        self._output = output

    @classmethod
    async def start(cls, service: Service, hear: Hear | None = None) -> Self:
        """Start it; `hear` gets its output line by line, which otherwise goes where ours goes. Raises OSError."""
        output, pipe = await _listen(hear) if hear else (None, None)
        try:
            child = await create_subprocess_exec(
                *service.command,
                env={**os.environ, **service.env},
                stdin=DEVNULL,
                stdout=pipe,
                stderr=pipe,
                process_group=0,
                preexec_fn=partial(end_with_parent, os.getpid()),
            )
        finally:
            if pipe is not None:
                os.close(pipe)
        return cls(service, child, output)

    async def ended(self) -> int:
        """Wait for its end, end what is left of its group, and return its exit status (128 + n for signal n)."""
        status = await self._child.wait()
        self._kill_group()
        if self._output is not None:
            await asyncio.wait([self._output], timeout=LAST_WORDS_S)
            self._output.cancel()
        return status if status >= 0 else 128 - status

    async def stop(self, hurry: asyncio.Event) -> bool:
        """Ask it to end, and end it when its grace is over or once somebody is in a `hurry`; True where it obeyed."""
        with suppress(ProcessLookupError):
            self._child.terminate()
        waits = [asyncio.ensure_future(self._child.wait()), asyncio.ensure_future(hurry.wait())]
        await asyncio.wait(waits, timeout=self._service.grace_s, return_when=asyncio.FIRST_COMPLETED)
        obeyed = waits[0].done()
        for wait in waits:
            wait.cancel()
        self._kill_group()
        await self.ended()
        return obeyed

    def _kill_group(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._child.pid, signal.SIGKILL)


async def _listen(hear: Hear) -> tuple[asyncio.Task[None], int]:
    """A task that hears what is written into the file descriptor that is returned too.

    The pipe is ours: asyncio's own would make the wait for a process's end a wait for all who hold its output.
    """
    ours, theirs = os.pipe()
    reader = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(ours, "rb", buffering=0)
    )
    task = asyncio.create_task(_hear_lines(reader, hear))
    task.add_done_callback(lambda _: transport.close())
    return task, theirs


async def _hear_lines(reader: asyncio.StreamReader, hear: Hear) -> None:
    begun = b""
    while data := await reader.read(READ_BYTES):
        *lines, begun = (begun + data).split(b"\n")
        if len(begun) > READ_BYTES:
            lines, begun = [*lines, begun], b""
        for line in lines:
            hear(line.decode(errors="replace"))
    if begun:
        hear(begun.decode(errors="replace"))
