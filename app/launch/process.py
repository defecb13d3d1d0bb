"""One process under the supervisor: how it is started, how its output is read, how it is stopped."""

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

OnLine = Callable[[str], None]

READ_BYTES = 65_536
DRAIN_S = 1.0  # how long output is read after the end: a process outside the group may hold the pipe open


@dataclass(frozen=True, slots=True)
class Command:
    """What to run: `grace_s` is how long it may take to end after SIGTERM, `env` is added to our own environment."""

    name: str
    argv: tuple[str, ...]
    grace_s: float = 10.0
    env: Mapping[str, str] = field(default_factory=dict)


class Process:
    """A command that was started, in its own process group so that Ctrl-C at the terminal reaches the supervisor alone.

    It ends when the supervisor's process ends, even if that is killed. Build it with `start`.
    """

    def __init__(self, command: Command, child: Child, output: asyncio.Task[None] | None) -> None:
        self._command = command
        self._child = child
        self._output = output

    @classmethod
    async def start(cls, command: Command, on_line: OnLine | None = None) -> Self:
        """Start it; `on_line` gets its output line by line. Without it the output goes where ours goes. Raises OSError."""
        output, pipe = await _capture(on_line) if on_line else (None, None)
        try:
            child = await create_subprocess_exec(
                *command.argv,
                env={**os.environ, **command.env},
                stdin=DEVNULL,
                stdout=pipe,
                stderr=pipe,
                process_group=0,
                preexec_fn=partial(end_with_parent, os.getpid()),
            )
        finally:
            if pipe is not None:
                os.close(pipe)
        return cls(command, child, output)

    async def ended(self) -> int:
        """Wait for its end, end what is left of its group, and return its exit status (128 + n for signal n)."""
        status = await self._child.wait()
        self._kill_group()
        if self._output is not None:
            await asyncio.wait([self._output], timeout=DRAIN_S)
            self._output.cancel()
        return status if status >= 0 else 128 - status

    async def stop(self, at_once: asyncio.Event) -> bool:
        """Send SIGTERM, and SIGKILL when its grace is over or `at_once` is set; True if it ended before that."""
        with suppress(ProcessLookupError):
            self._child.terminate()
        waits = [asyncio.ensure_future(self._child.wait()), asyncio.ensure_future(at_once.wait())]
        await asyncio.wait(waits, timeout=self._command.grace_s, return_when=asyncio.FIRST_COMPLETED)
        in_time = waits[0].done()
        for wait in waits:
            wait.cancel()
        self._kill_group()
        await self.ended()
        return in_time

    def _kill_group(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._child.pid, signal.SIGKILL)


async def _capture(on_line: OnLine) -> tuple[asyncio.Task[None], int]:
    """A task that reads a pipe, and the file descriptor to write into it.

    With asyncio's own pipe, waiting for a process would also wait for every process that inherited its output.
    """
    read_end, write_end = os.pipe()
    reader = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(read_end, "rb", buffering=0)
    )
    task = asyncio.create_task(_read_lines(reader, on_line))
    task.add_done_callback(lambda _: transport.close())
    return task, write_end


async def _read_lines(reader: asyncio.StreamReader, on_line: OnLine) -> None:
    partial_line = b""
    while data := await reader.read(READ_BYTES):
        *lines, partial_line = (partial_line + data).split(b"\n")
        if len(partial_line) > READ_BYTES:
            lines, partial_line = [*lines, partial_line], b""
        for line in lines:
            on_line(line.decode(errors="replace"))
    if partial_line:
        on_line(partial_line.decode(errors="replace"))
