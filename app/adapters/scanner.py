"""Scans files with clamd over its INSTREAM command, see clamd(8). Only an explicit OK lets a file pass."""

import contextlib
import socket
import struct
import time
from collections.abc import Iterator
from typing import BinaryIO
from urllib.parse import urlsplit

from app import logs
from app.domain.images import Fault, PictureError

CHUNK_BYTES = 65_536
CONNECT_S = 3.0
TIMEOUT_S = 15.0  # of a whole scan; 8 MB take 0.2 s
MAX_REPLY_BYTES = 4_096

log = logs.get(__name__)


class Harmful(PictureError):
    """The scanner found something harmful in the picture's file."""


class NotScanned(PictureError):
    """The picture could not be scanned for harmful content. Unscanned pictures are not accepted."""

    fault = Fault.SERVICE
    retryable = True


class TooLargeToScan(PictureError):
    """The picture's file is too large for the scanner. Unscanned pictures are not accepted."""

    fault = Fault.SERVICE


class NoScanner:
    """Used if CLAMAV_URL is not set."""

    def scan(self, source: BinaryIO) -> None:
        """Accept every file."""


class ClamdScanner:
    """Scans with the clamd at `url`: tcp://host:port or unix:///path."""

    def __init__(self, url: str, timeout_s: float = TIMEOUT_S) -> None:
        self.url = url
        self.timeout_s = timeout_s

    def scan(self, source: BinaryIO) -> None:
        """Scan all of `source`. Raises Harmful, TooLargeToScan, and NotScanned after any error or unclear reply."""
        source.seek(0)
        deadline = time.monotonic() + self.timeout_s
        try:
            with contextlib.closing(self._connect()) as sock:
                reply = _send(sock, source, deadline)
        except OSError as error:
            log.warning("The scanner is unavailable", action="scan.failed", problem=f"{type(error).__name__}: {error}")
            raise NotScanned(NotScanned.__doc__) from error
        _check(reply)

    def _connect(self) -> socket.socket:
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


def _send(sock: socket.socket, source: BinaryIO, deadline: float) -> str:
    """Send the file and return the reply."""
    try:
        for chunk in _chunks(source):
            _set_timeout(sock, deadline)
            sock.sendall(chunk)
    except (BrokenPipeError, ConnectionResetError):
        pass  # clamd stopped reading and may have sent the reason
    return _receive(sock, deadline)


def _chunks(source: BinaryIO) -> Iterator[bytes]:
    """The command, the file in chunks after their lengths (32 bits, big-endian), and an empty chunk as the end."""
    yield b"zINSTREAM\0"
    while chunk := source.read(CHUNK_BYTES):
        yield struct.pack(">I", len(chunk)) + chunk
    yield bytes(4)


def _receive(sock: socket.socket, deadline: float) -> str:
    """One reply, which ends with a NUL. Raises OSError if it is incomplete or too long."""
    reply = b""
    while not reply.endswith(b"\0"):
        _set_timeout(sock, deadline)
        chunk = sock.recv(MAX_REPLY_BYTES)
        if not chunk or len(reply) > MAX_REPLY_BYTES:
            raise ConnectionError("the reply is too long" if chunk else "the reply is incomplete")
        reply += chunk
    return reply[:-1].decode("utf-8", "replace")


def _set_timeout(sock: socket.socket, deadline: float) -> None:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("the scan took too long")
    sock.settimeout(left)


def _check(reply: str) -> None:
    if reply == "stream: OK":
        return
    if reply.startswith("stream: ") and reply.endswith(" FOUND"):
        signature = reply.removeprefix("stream: ").removesuffix(" FOUND")
        log.warning("A file is harmful", action="scan.found", signature=signature[:200])
        raise Harmful(Harmful.__doc__)
    log.warning("The scanner could not scan a file", action="scan.failed", problem=reply[:200])
    if reply.startswith("INSTREAM size limit exceeded"):
        raise TooLargeToScan(TooLargeToScan.__doc__)
    raise NotScanned(NotScanned.__doc__)
