"""Scanning by a real clamd, and by false ones: whatever is no clear "OK" lets nothing pass."""

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
from tests.support.hostile_images import png
from tests.support.pictures import plain


@pytest.fixture(scope="module")
def scanner() -> Iterator[ClamdScanner]:
    """Asks a real clamd."""
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
def test_a_harmful_file_is_refused_for_good(scanner: ClamdScanner, content: bytes) -> None:
    with pytest.raises(Harmful) as caught:
        scanner.scan(io.BytesIO(content))
    assert not caught.value.retryable
    assert str(caught.value) == "The scanner found something harmful in the picture's file."


def test_a_file_that_the_scanner_does_not_take_is_refused_for_good(scanner: ClamdScanner) -> None:
    with pytest.raises(TooLargeToScan) as caught:
        scanner.scan(io.BytesIO(b"x" * (STREAM_BYTES + 1)))
    assert not caught.value.retryable


def test_nobody_looks_where_no_scanner_is_set() -> None:
    NoScanner().scan(io.BytesIO(EICAR))


def answering(text: bytes) -> Callable[[socket.socket], None]:
    """Read all, then say this."""

    def act(connection: socket.socket) -> None:
        read_stream(connection)
        connection.sendall(text)

    return act


def test_the_whole_file_is_sent_as_it_is() -> None:
    content = bytes(range(256)) * 1000
    seen: list[bytes] = []

    def act(connection: socket.socket) -> None:
        seen.append(read_stream(connection))
        connection.sendall(b"stream: OK\0")

    with fake_clamd(act) as scanner:
        scanner.scan(io.BytesIO(content))
    assert seen == [content]


@pytest.mark.parametrize(
    "said",
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
def test_what_is_no_clear_word_lets_nothing_pass(said: bytes) -> None:
    with fake_clamd(answering(said)) as scanner, pytest.raises(NotScanned) as caught:
        scanner.scan(io.BytesIO(b"content"))
    assert caught.value.retryable


def test_a_scanner_that_stops_listening_lets_nothing_pass() -> None:
    with fake_clamd(lambda connection: connection.close()) as scanner, pytest.raises(NotScanned):
        scanner.scan(io.BytesIO(b"x" * 5_000_000))


def drip(connection: socket.socket) -> None:
    """Never quite finish."""
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
def test_a_scanner_that_does_not_end_is_left_in_time(act: Callable[[socket.socket], None]) -> None:
    began = time.monotonic()
    with fake_clamd(act, timeout_s=0.5) as scanner, pytest.raises(NotScanned):
        scanner.scan(io.BytesIO(b"x" * 1000))
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("url", ["unix:///nowhere/clamd.sock", "tcp://127.0.0.1:1", "tcp://no-such-host.invalid:3310"])
def test_a_scanner_that_is_not_there_lets_nothing_pass(url: str) -> None:
    with pytest.raises(PictureError) as caught:
        ClamdScanner(url).scan(io.BytesIO(b"content"))
    assert caught.value.retryable
    assert "nowhere" not in str(caught.value)
