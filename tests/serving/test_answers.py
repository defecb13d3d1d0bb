"""Heads and bodies as they leave. The socket notes each way into the kernel."""

from __future__ import annotations

from typing import Any

from app.serving.answers import AnswerSocket

HEAD = b"HTTP/1.1 200 OK\r\n\r\n"


class Noted:
    """Where sendable bytes go; `takes` is how many it takes at once."""

    def __init__(self, takes: int = 1_000) -> None:
        self.takes = takes
        self.sent: list[bytes] = []

    def send(self, data: bytes) -> int:
        self.sent.append(data[: self.takes])
        return len(self.sent[-1])

    def sendall(self, data: Any) -> None:
        self.sent.append(bytes(data))

    def sendfile(self, name: str, offset: int = 0) -> int:
        self.sent.append(f"{name} from {offset}".encode())
        return 7

    def fileno(self) -> int:
        return 11


def test_a_head_leaves_together_with_the_first_of_its_body_and_the_rest_as_it_comes() -> None:
    noted = Noted()
    answering = AnswerSocket(noted)
    answering.sendall(HEAD)
    assert noted.sent == []
    for piece in (b"one", b"two"):
        answering.sendall(piece)
    answering.end()
    assert noted.sent == [HEAD + b"one", b"two"]


def test_a_head_without_a_body_leaves_at_the_end_and_once() -> None:
    noted = Noted()
    answering = AnswerSocket(noted)
    answering.sendall(HEAD)
    answering.end()
    answering.end()
    assert noted.sent == [HEAD]


def test_where_nothing_was_answered_nothing_leaves() -> None:
    noted = Noted()
    AnswerSocket(noted).end()
    assert noted.sent == []


def test_what_the_kernel_does_not_take_at_once_follows() -> None:
    noted = Noted(takes=5)
    answering = AnswerSocket(noted)
    answering.sendall(HEAD)
    answering.sendall(b"body")
    assert b"".join(noted.sent) == HEAD + b"body"
    assert len(noted.sent) == 2


def test_a_file_comes_behind_its_head() -> None:
    noted = Noted()
    answering = AnswerSocket(noted)
    answering.sendall(HEAD)
    assert answering.sendfile("picture", offset=3) == 7
    assert noted.sent == [HEAD, b"picture from 3"]


def test_whatever_else_is_asked_is_the_sockets_own() -> None:
    assert AnswerSocket(Noted()).fileno() == 11


def test_a_head_for_somebody_who_is_gone_is_no_error() -> None:
    class Gone(Noted):
        def send(self, data: bytes) -> int:
            raise BrokenPipeError

    answering = AnswerSocket(Gone())
    answering.sendall(HEAD)
    answering.end()
