"""The bounded send queue of one socket, with a writer thread that exists only while frames are waiting."""

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from app.domain.close_codes import CloseCode
from app.hub.offers import Offer

QUEUE_SIZE = 128


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame to send: a text, with the offer that it carries if any; a close; or, if all are None, a ping."""

    text: str | None = None
    offer: Offer | None = None
    close: tuple[CloseCode, str] | None = None


class SendQueue:
    """`write` sends one frame and returns False if no other may follow. `overflow` is called when the queue is full."""

    def __init__(self, write: Callable[[Frame], bool], overflow: Callable[[], object]) -> None:
        self.closing = False
        self._write = write
        self._overflow = overflow
        self._lock = threading.Lock()
        self._waiting: deque[Frame] = deque()
        self._writing = False

    def put(self, frame: Frame) -> None:
        """Send the frame after those that are waiting. Nothing is sent after a close."""
        with self._lock:
            if self.closing:
                return
            full = len(self._waiting) >= QUEUE_SIZE
            self.closing = full or frame.close is not None
            if not full:
                self._waiting.append(frame)
            idle, self._writing = not self._writing, True
        if full:
            self._overflow()
        elif idle:
            self._start_writer()

    def put_now(self, frame: Frame) -> None:
        """Send the frame on the calling thread if no other is being sent, otherwise queue it."""
        with self._lock:
            idle = not (self.closing or self._writing)
            if idle:
                self._writing = True
        if not idle:
            self.put(frame)
        elif self._write(frame):
            with self._lock:
                self._writing = bool(self._waiting)
            if self._writing:
                self._start_writer()

    def _start_writer(self) -> None:
        threading.Thread(target=self._write_waiting, name="socket-writer", daemon=True).start()

    def _write_waiting(self) -> None:
        while (frame := self._next()) is not None and self._write(frame):
            pass

    def _next(self) -> Frame | None:
        with self._lock:
            self._writing = bool(self._waiting)
            return self._waiting.popleft() if self._waiting else None
