"""Asking clamd whether a file is harmful, over its INSTREAM command (clamd(8)): nothing but its word lets a file pass."""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from collections.abc import Iterator
from typing import BinaryIO
from urllib.parse import urlsplit

from app import logs
from app.domain.images import PictureError

PIECE_BYTES = 65_536
CONNECT_S = 3.0
TIMEOUT_S = 15.0  # the whole of one scan; 8 MB take a fifth of a second
LONGEST_ANSWER = 4_096

log = logs.get(__name__)


class Harmful(PictureError):
    """The scanner found something harmful in the picture's file."""


class NotScanned(PictureError):
    """The picture could not be scanned for harmful content; unscanned it is not taken."""

    retryable = True


class TooLargeToScan(PictureError):
    """The picture's file is larger than the scanner takes; unscanned it is not taken."""


class NoScanner:
    """Where no CLAMAV_URL is set."""

    def scan(self, source: BinaryIO) -> None:
        """Nobody looks."""


class ClamdScanner:
    """Scans by the clamd at `url`: tcp://host:port or unix:///path."""

    def __init__(self, url: str, timeout_s: float = TIMEOUT_S) -> None:
        self.url = url
        self.timeout_s = timeout_s

    def scan(self, source: BinaryIO) -> None:
        """Read all of `source`. Raises Harmful, TooLargeToScan, and NotScanned for whatever is no clear word."""
        source.seek(0)
        deadline = time.monotonic() + self.timeout_s
        try:
            with contextlib.closing(self._connected()) as sock:
                answer = _ask(sock, source, deadline)
        except OSError as error:
            log.warning("The scanner cannot be asked", action="scan.failed", problem=f"{type(error).__name__}: {error}")
            raise NotScanned(NotScanned.__doc__) from error
        _judge(answer)

    def _connected(self) -> socket.socket:
        parts = urlsplit(self.url)
        timeout_s = min(CONNECT_S, self.timeout_s)
        if parts.scheme == "tcp":
            return socket.create_connection((parts.hostname or "", parts.port or 0), timeout_s)
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.settimeout(timeout_s)
        try:
            sock.connect(parts.path)
        except BaseException:
            sock.close()
            raise
        return sock


def _ask(sock: socket.socket, source: BinaryIO, deadline: float) -> str:
    try:
        for piece in _frames(source):
            _allow(sock, deadline)
            sock.sendall(piece)
    except (BrokenPipeError, ConnectionResetError):
        pass  # it has stopped listening, and may have said why
    return _answer(sock, deadline)


def _frames(source: BinaryIO) -> Iterator[bytes]:
    """The command, the file in pieces with their lengths (32 bits, big-endian), and an empty piece as the end."""
    yield b"zINSTREAM\0"
    while piece := source.read(PIECE_BYTES):
        yield struct.pack(">I", len(piece)) + piece
    yield bytes(4)


def _answer(sock: socket.socket, deadline: float) -> str:
    """One answer, which ends with a NUL. Raises OSError where it is none."""
    said = b""
    while not said.endswith(b"\0"):
        _allow(sock, deadline)
        piece = sock.recv(LONGEST_ANSWER)
        if not piece or len(said) > LONGEST_ANSWER:
            raise ConnectionError("the answer broke off" if not piece else "the answer does not end")
        said += piece
    return said[:-1].decode("utf-8", "replace")


def _allow(sock: socket.socket, deadline: float) -> None:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("the scan took too long")
    sock.settimeout(left)


def _judge(answer: str) -> None:
    if answer == "stream: OK":
        return
    if answer.startswith("stream: ") and answer.endswith(" FOUND"):
        signature = answer.removeprefix("stream: ").removesuffix(" FOUND")
        log.warning("A file was found harmful", action="scan.found", signature=signature[:200])
        raise Harmful(Harmful.__doc__)
    log.warning("The scanner did not judge a file", action="scan.failed", problem=answer[:200])
    if answer.startswith("INSTREAM size limit exceeded"):
        raise TooLargeToScan(TooLargeToScan.__doc__)
    raise NotScanned(NotScanned.__doc__)
