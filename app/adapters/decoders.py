"""Validates pictures in a few separate processes, so that any number of threads can wait for the network meanwhile.

A decoder that crashes, hangs or needs too much memory ends only its own process and its own picture.
"""

import contextlib
import multiprocessing
import os
import queue
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path
from typing import BinaryIO, TypeVar

from app.adapters import pictures, renditions
from app.domain.images import BadImage, Fault, ImageLimits, Picture, PictureError, Rendition

T = TypeVar("T")

WAIT_S = 10.0  # for a decoder
# A picture of 40 million pixels takes 2 s to decode and encode. Time that other processes use counts only in the second limit.
CPU_LIMIT_S = 10.0
TIME_LIMIT_S = 20.0
TRIES = 2  # a decoder may be ended from outside, when memory is short


class DecodersBusy(PictureError):
    """This service has too many pictures to decode."""

    fault = Fault.SERVICE
    retryable = True


class DecoderPool:
    """An ImageValidator and a Renderer for files with names, which calls Pillow in one of `count` processes.

    Each process has an executor of its own, since the end of a process breaks its executor. They start when they are needed.
    """

    def __init__(
        self, count: int, *, wait_s: float = WAIT_S, cpu_s: float = CPU_LIMIT_S, time_s: float = TIME_LIMIT_S
    ) -> None:
        self._wait_s, self._cpu_s, self._time_s = wait_s, cpu_s, time_s
        self._context = multiprocessing.get_context("forkserver")  # threads must not be forked
        self._context.set_forkserver_preload([pictures.__name__])
        self._idle: queue.LifoQueue[ProcessPoolExecutor | None] = queue.LifoQueue()
        for _ in range(count):
            self._idle.put(None)

    def __call__(
        self,
        source: BinaryIO,
        target: BinaryIO,
        limits: ImageLimits,
        thumbnails: Mapping[Rendition, BinaryIO] | None = None,
    ) -> Picture:
        """As `PillowValidator`. Raises DecodersBusy if no decoder becomes free in time, or if this machine is too slow."""
        source.flush()
        paths = {rendition: file.name for rendition, file in (thumbnails or {}).items()}
        return self._run(partial(_validate, source.name, target.name, limits, paths))

    def render(self, source: BinaryIO, target: BinaryIO, rendition: Rendition) -> None:
        """As `renditions.render`. Raises DecodersBusy in the same cases."""
        source.flush()
        self._run(partial(_render, source.name, target.name, rendition))

    def _run(self, work: Callable[[], T]) -> T:
        """Call `work` in a decoder. Raises BadImage if it ends two of them, and DecodersBusy."""
        for _ in range(TRIES):
            started = time.monotonic()
            with contextlib.suppress(BrokenProcessPool), self._decoder() as decoder:
                started = time.monotonic()
                return decoder.submit(_limited, self._cpu_s, self._time_s, work).result()
            if time.monotonic() - started >= self._time_s:
                raise DecodersBusy(DecodersBusy.__doc__)
        raise BadImage("The picture takes too long to decode, or ends its decoder.")

    def close(self) -> None:
        """End the processes that are idle."""
        with contextlib.suppress(queue.Empty):
            while True:
                decoder = self._idle.get_nowait()
                if decoder is not None:
                    decoder.shutdown()

    @contextlib.contextmanager
    def _decoder(self) -> Iterator[ProcessPoolExecutor]:
        """A decoder that no other thread uses. If it breaks, the next one is new."""
        try:
            idle = self._idle.get(timeout=self._wait_s)
        except queue.Empty:
            raise DecodersBusy(DecodersBusy.__doc__) from None
        decoder = idle or ProcessPoolExecutor(1, self._context, _end_with_parent)
        kept: ProcessPoolExecutor | None = decoder
        try:
            yield decoder
        except BrokenProcessPool:
            kept = None
            raise
        finally:
            self._idle.put(kept)


def _end_with_parent() -> None:
    """End this process when its worker ends, even if that is killed. The kernel could watch the fork server only."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def wait() -> None:
        parent.join()
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=wait, name="parent", daemon=True).start()


def _limited(cpu_s: float, time_s: float, work: Callable[[], T]) -> T:
    """Called in the decoder. The signals of the timers end it, however it hangs."""
    signal.setitimer(signal.ITIMER_PROF, cpu_s)
    signal.setitimer(signal.ITIMER_REAL, time_s)
    try:
        return work()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.setitimer(signal.ITIMER_PROF, 0)


def _validate(source: str, target: str, limits: ImageLimits, thumbnails: Mapping[Rendition, str]) -> Picture:
    with contextlib.ExitStack() as files:
        read = files.enter_context(Path(source).open("rb"))
        written = files.enter_context(_emptied(target))
        opened = {rendition: files.enter_context(_emptied(path)) for rendition, path in thumbnails.items()}
        return pictures.PillowValidator()(read, written, limits, opened)


def _render(source: str, target: str, rendition: Rendition) -> None:
    with Path(source).open("rb") as read, _emptied(target) as written:
        renditions.render(read, written, rendition)


@contextlib.contextmanager
def _emptied(path: str) -> Iterator[BinaryIO]:
    """The file to write: an earlier try may have left something."""
    with Path(path).open("r+b") as file:
        file.truncate()
        yield file
