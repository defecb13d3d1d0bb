"""Request bodies have a minimum speed. These tests check what happens, not how soon, because they use the real clock."""

from __future__ import annotations

import gevent
import pytest
from gunicorn.http.errors import InvalidChunkSize

from app.domain.errors import BodyTooSlow, InvalidRequest
from app.serving.bodies import CHUNK_BYTES, LEAST_BYTES_PER_S, PacedBody

PATIENCE_S = 0.2


class Dripping:
    """A body whose sender pauses before each piece."""

    def __init__(self, pause_s: float, *pieces: bytes | Exception) -> None:
        self.pause_s = pause_s
        self.pieces = list(pieces)
        self.asked: list[int] = []

    def read(self, size: int = -1, /) -> bytes:
        self.asked.append(size)
        gevent.sleep(self.pause_s)
        piece = self.pieces.pop(0) if self.pieces else b""
        if isinstance(piece, Exception):
            raise piece
        if piece[size:]:
            self.pieces.insert(0, piece[size:])
        return piece[:size]


def paced(source: Dripping) -> tuple[PacedBody, list[str]]:
    closed: list[str] = []
    return PacedBody(source, lambda: closed.append("closed"), PATIENCE_S), closed


def test_a_body_that_arrives_at_once_is_read_completely() -> None:
    body, closed = paced(Dripping(0, b"a" * CHUNK_BYTES, b"b"))
    assert body.read() == b"a" * CHUNK_BYTES + b"b"
    assert closed == []


def test_a_slow_body_is_refused_although_no_pause_is_long() -> None:
    body, closed = paced(Dripping(PATIENCE_S / 5, *[b"x"] * 1000))
    with pytest.raises(BodyTooSlow):
        body.read()
    assert closed == ["closed"]


def test_a_body_that_stops_is_refused_during_a_read() -> None:
    source = Dripping(60, b"x")
    with pytest.raises(BodyTooSlow):
        paced(source)[0].read(10)
    assert source.pieces == [b"x"]


def test_received_bytes_extend_the_deadline() -> None:
    pause_s = PATIENCE_S / 2
    assert pause_s < CHUNK_BYTES / LEAST_BYTES_PER_S
    body, _ = paced(Dripping(pause_s, *[b"x" * CHUNK_BYTES] * 6))
    assert [len(body.read(CHUNK_BYTES)) for _ in range(7)] == [CHUNK_BYTES] * 6 + [0]


def test_time_between_two_reads_does_not_count() -> None:
    body, _ = paced(Dripping(0, b"a", b"b"))
    assert body.read(1) == b"a"
    gevent.sleep(2 * PATIENCE_S)
    assert body.read(1) == b"b"


def test_reads_are_small() -> None:
    source = Dripping(0, b"x")
    paced(source)[0].read(10_000_000)
    assert max(source.asked) == CHUNK_BYTES


def test_invalid_chunks_are_a_client_error() -> None:
    body, closed = paced(Dripping(0, b"x", InvalidChunkSize(b"canary")))
    with pytest.raises(InvalidRequest, match="chunks") as refused:
        body.read()
    assert "canary" not in str(refused.value)
    assert closed == ["closed"]
