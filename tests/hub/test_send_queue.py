"""The send queue of a socket, and its writer thread."""

from __future__ import annotations

import threading
from collections.abc import Callable

from app.domain.close_codes import CloseCode
from app.hub.send_queue import QUEUE_SIZE, Frame, SendQueue
from tests.support.waiting import until


class Wire:
    """Records what is written and by which thread. Writing blocks while `open` is not set."""

    def __init__(self) -> None:
        self.written: list[str | None] = []
        self.threads: set[threading.Thread] = set()
        self.open = threading.Event()
        self.open.set()
        self.started = threading.Event()
        self.on_write: Callable[[], object] = lambda: None

    def write(self, frame: Frame) -> bool:
        self.started.set()
        assert self.open.wait(30)
        self.threads.add(threading.current_thread())
        self.written.append(frame.text)
        self.on_write()
        return frame.close is None


def queue_on(wire: Wire, overflow: Callable[[], object] = lambda: None) -> SendQueue:
    return SendQueue(wire.write, overflow)


def test_frames_are_written_in_order() -> None:
    wire = Wire()
    queue = queue_on(wire)
    texts = [str(number) for number in range(100)]
    for text in texts:
        queue.put(Frame(text))
    until(lambda: len(wire.written) == 100, what="all to be written")
    assert wire.written == texts


def test_the_writer_ends_when_the_queue_is_empty() -> None:
    wire = Wire()
    queue = queue_on(wire)

    def put_and_wait(text: str) -> None:
        queue.put(Frame(text))
        until(lambda: wire.written[-1:] == [text], what="the frame to be written")
        until(lambda: not any(thread.is_alive() for thread in wire.threads), what="the writer to end")

    for number in range(10):
        put_and_wait(str(number))
    assert len(wire.threads) == 10


def test_the_caller_writes_a_frame_if_the_queue_is_empty() -> None:
    wire = Wire()
    queue_on(wire).put_now(Frame("now"))
    assert wire.written == ["now"]
    assert wire.threads == {threading.current_thread()}


def test_frames_queued_while_the_caller_writes_are_written_next() -> None:
    wire = Wire()
    queue = queue_on(wire)

    def put_another() -> None:
        wire.on_write = lambda: None
        queue.put(Frame("queued meanwhile"))

    wire.on_write = put_another
    queue.put_now(Frame("now"))
    until(lambda: len(wire.written) == 2, what="both to be written")
    assert wire.written == ["now", "queued meanwhile"]


def test_the_caller_does_not_write_while_another_frame_is_being_written() -> None:
    wire = Wire()
    queue = queue_on(wire)
    wire.open.clear()
    queue.put(Frame("first"))
    assert wire.started.wait(30)
    queue.put_now(Frame("second"))
    assert wire.written == []
    wire.open.set()
    until(lambda: len(wire.written) == 2, what="both to be written")
    assert wire.written == ["first", "second"]


def test_nothing_is_sent_after_a_close() -> None:
    wire = Wire()
    queue = queue_on(wire)
    wire.open.clear()
    queue.put(Frame("before"))
    queue.put(Frame(close=(CloseCode.REPLACED, "")))
    queue.put(Frame("after"))
    queue.put_now(Frame("after"))
    assert queue.closing
    wire.open.set()
    until(lambda: len(wire.written) == 2, what="both to be written")
    assert wire.written == ["before", None]


def test_a_full_queue_closes_the_connection_and_accepts_no_more() -> None:
    wire, overflowed = Wire(), threading.Event()
    queue = queue_on(wire, overflowed.set)
    wire.open.clear()
    queue.put(Frame("being written"))
    assert wire.started.wait(30)
    for number in range(QUEUE_SIZE):
        queue.put(Frame(str(number)))
    assert not overflowed.is_set()
    queue.put(Frame("too many"))
    assert overflowed.is_set()
    assert queue.closing
    wire.open.set()
    until(lambda: len(wire.written) == QUEUE_SIZE + 1, what="the frames before it to be written")
    assert "too many" not in wire.written
