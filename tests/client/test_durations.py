"""Durations as people write them."""

from __future__ import annotations

import pytest

from imagefleet.durations import parse, shown


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("0.5", 0.5), ("90s", 90), ("10m", 600), ("8h", 28_800), ("2d", 172_800), ("1h30m", 5_400)],
)
def test_a_duration_is_read(text: str, seconds: float) -> None:
    assert parse(text) == seconds


@pytest.mark.parametrize("text", ["", "h", "1x", "8 h", "-1", "1h30", "1e3", "nan", "inf", "٣h"])
def test_what_is_no_duration_is_not_read(text: str) -> None:
    assert parse(text) is None


@pytest.mark.parametrize(("seconds", "text"), [(604_800, "7d"), (5_400, "90m"), (1, "1s"), (0.5, "0.5s")])
def test_a_duration_is_shown_in_its_largest_whole_unit(seconds: float, text: str) -> None:
    assert shown(seconds) == text
