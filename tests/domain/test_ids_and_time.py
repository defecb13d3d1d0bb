"""Identifiers and time stamps."""

from __future__ import annotations

import os
import re
import uuid
from datetime import UTC, datetime

import pytest

from app.domain.clock import wire_now, wire_time
from app.domain.ids import is_request_id, uuid7

ID = "550e8400-e29b-41d4-a716-446655440000"


@pytest.mark.parametrize("randomness", [b"\x00" * 10, b"\xff" * 10, bytes(range(10))])
@pytest.mark.parametrize("now_ms", [0, 1_705_233_600_000, 2**48 - 1])
def test_an_id_is_a_uuid_of_version_7(now_ms: int, randomness: bytes) -> None:
    made = uuid.UUID(uuid7(now_ms, randomness))
    assert (made.version, made.variant) == (7, uuid.RFC_4122)
    assert made.int >> 80 == now_ms
    assert is_request_id(str(made))


def test_ids_sort_by_the_time_they_were_made() -> None:
    later = [uuid7(now_ms, os.urandom(10)) for now_ms in range(1_000, 1_100)]
    assert later == sorted(later)


@pytest.mark.parametrize("now_ms", [1_000, 999, 1])
@pytest.mark.parametrize("randomness", [b"\x00" * 10, b"\xff" * 10, bytes(range(10))])
def test_ids_ascend_even_if_the_clock_does_not(now_ms: int, randomness: bytes) -> None:
    made = [uuid7(1_000, b"\xff" * 10)]
    for _ in range(3):
        made.append(uuid7(now_ms, randomness, above=made[-1]))
    assert made == sorted(set(made))
    assert all((uuid.UUID(each).version, uuid.UUID(each).variant) == (7, uuid.RFC_4122) for each in made)


def test_the_previous_id_is_ignored_once_the_clock_has_moved_on() -> None:
    before, randomness = uuid7(1_000, b"\xff" * 10), os.urandom(10)
    assert uuid7(2_000, randomness, above=before) == uuid7(2_000, randomness)


@pytest.mark.parametrize("text", ["", "x", ID.upper(), f"{{{ID}}}", f"{ID}\n", ID.replace("-", "")])
def test_other_texts_are_not_ids(text: str) -> None:
    assert not is_request_id(text)


@pytest.mark.parametrize(
    ("at_ms", "expected"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (1_705_233_600_000, "2024-01-14T12:00:00.000Z"),
        (1_705_233_600_007, "2024-01-14T12:00:00.007Z"),
        (1_705_233_599_999, "2024-01-14T11:59:59.999Z"),
    ],
)
def test_times_are_formatted_as_in_the_contract(at_ms: int, expected: str) -> None:
    assert wire_time(at_ms) == expected


def test_the_clock_uses_that_format() -> None:
    now = wire_now()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", now)
    assert abs((datetime.now(UTC) - datetime.fromisoformat(now)).total_seconds()) < 60
