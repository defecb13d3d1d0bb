"""Scanning with a real clamd and with fake ones: only an explicit OK lets a file pass."""

from __future__ import annotations

import io
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.adapters.scanner import ClamdScanner, Harmful, NoScanner, NotScanned, TooLargeToScan
from app.domain.images import PictureError
from tests.support.clamd import EICAR, MARKER, STREAM_BYTES, fake_clamd, read_stream, real_clamd
from tests.support.image_samples import png
from tests.support.pictures import plain


@pytest.fixture(scope="module")
def scanner() -> Iterator[ClamdScanner]:
    """A scanner that uses a real clamd."""
    with tempfile.TemporaryDirectory(prefix="imagefleet-clamd-") as folder, real_clamd(Path(folder)) as url:
        yield ClamdScanner(url)


@pytest.mark.parametrize("content", [plain(), plain(kind="JPEG"), b"", b"x" * (STREAM_BYTES - 1024)])
def test_a_clean_file_passes(scanner: ClamdScanner, content: bytes) -> None:
    source = io.BytesIO(content)
    source.seek(0, 2)
    scanner.scan(source)


@pytest.mark.parametrize(
    "content",
    [EICAR, png(8, 8, (b"prVt", MARKER)), plain(kind="JPEG") + MARKER],
    ids=["EICAR", "inside a PNG", "behind a JPEG"],
)
def test_a_harmful_file_is_refused_without_a_retry(scanner: ClamdScanner, content: bytes) -> None:
    with pytest.raises(Harmful) as caught:
        scanner.scan(io.BytesIO(content))
    assert not caught.value.retryable
    assert str(caught.value) == "The scanner found something harmful in the picture's file."


def test_a_file_too_large_for_the_scanner_is_refused_without_a_retry(scanner: ClamdScanner) -> None:
    with pytest.raises(TooLargeToScan) as caught:
        scanner.scan(io.BytesIO(b"x" * (STREAM_BYTES + 1)))
    assert not caught.value.retryable


def test_without_a_scanner_every_file_passes() -> None:
    NoScanner().scan(io.BytesIO(EICAR))


def answering(text: bytes) -> Callable[[socket.socket], None]:
    """Read everything, then reply with `text`."""

    def act(connection: socket.socket) -> None:
        read_stream(connection)
        connection.sendall(text)

    return act


def test_the_whole_file_is_sent_unchanged() -> None:
    content = bytes(range(256)) * 1000
    received: list[bytes] = []

    def act(connection: socket.socket) -> None:
        received.append(read_stream(connection))
        connection.sendall(b"stream: OK\0")

    with fake_clamd(act) as scanner:
        scanner.scan(io.BytesIO(content))
    assert received == [content]


@pytest.mark.parametrize(
    "reply",
    [
        b"",
        b"\0",
        b"stream: OK",
        b"OK\0",
        b"stream: ok\0",
        b"stream: OK\n\0",
        b"stream: NOT OK\0",
        b"stream: Something ERROR\0",
        b"UNKNOWN COMMAND\0",
        b"\xff\xfe\0",
        b"x" * 100_000,
    ],
)
def test_an_unclear_reply_lets_nothing_pass(reply: bytes) -> None:
    with fake_clamd(answering(reply)) as scanner, pytest.raises(NotScanned) as caught:
        scanner.scan(io.BytesIO(b"content"))
    assert caught.value.retryable


def test_a_scanner_that_closes_the_connection_lets_nothing_pass() -> None:
    with fake_clamd(lambda connection: connection.close()) as scanner, pytest.raises(NotScanned):
        scanner.scan(io.BytesIO(b"x" * 5_000_000))


def drip(connection: socket.socket) -> None:
    """Reply without end, slowly."""
    read_stream(connection)
    connection.settimeout(0.05)
    while True:
        connection.sendall(b"x")
        try:
            if not connection.recv(1):
                return
        except TimeoutError:
            continue


@pytest.mark.parametrize("act", [drip, lambda connection: connection.recv(2**30, socket.MSG_WAITALL)])
def test_a_scanner_that_never_finishes_times_out(act: Callable[[socket.socket], None]) -> None:
    began = time.monotonic()
    with fake_clamd(act, timeout_s=0.5) as scanner, pytest.raises(NotScanned):
        scanner.scan(io.BytesIO(b"x" * 1000))
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("url", ["unix:///nowhere/clamd.sock", "tcp://127.0.0.1:1", "tcp://no-such-host.invalid:3310"])
def test_an_unreachable_scanner_lets_nothing_pass(url: str) -> None:
    with pytest.raises(PictureError) as caught:
        ClamdScanner(url).scan(io.BytesIO(b"content"))
    assert caught.value.retryable
    assert "nowhere" not in str(caught.value)
