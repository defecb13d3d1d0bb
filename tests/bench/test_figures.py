"""The arithmetic of measurements: ratios must be reliable."""

from __future__ import annotations

import math

import pytest

from bench.figures import Spread, percentile, ratios


@pytest.mark.parametrize(
    ("values", "median", "low", "high"),
    [([3.0, 1.0, 2.0], 2.0, 1.0, 3.0), ([1.0, 4.0], 2.5, 1.0, 4.0), ([7.0], 7.0, 7.0, 7.0)],
)
def test_a_spread_is_the_median_and_both_ends(values: list[float], median: float, low: float, high: float) -> None:
    assert Spread.of(values) == Spread(median, low, high)


def test_an_empty_list_has_no_spread_and_no_percentile() -> None:
    with pytest.raises(ValueError, match="nothing was measured"):
        Spread.of([])
    with pytest.raises(ValueError, match="nothing was measured"):
        percentile([], 50)


@pytest.mark.parametrize(("percent", "value"), [(0, 1), (1, 1), (50, 50), (99, 99), (100, 100)])
def test_a_percentile_is_a_value_that_was_measured(percent: float, value: float) -> None:
    assert percentile(list(range(100, 0, -1)), percent) == value


def test_short_lists_have_percentiles_too() -> None:
    assert percentile([5.0, 9.0], 50) == 5.0
    assert percentile([5.0, 9.0], 99) == 9.0


def test_ratios_are_computed_for_each_pair() -> None:
    assert ratios([2.0, 30.0], [1.0, 10.0]) == [2.0, 3.0]


def test_a_ratio_rises_as_things_become_worse_even_if_more_is_better() -> None:
    assert ratios([50.0], [100.0], more_is_better=True) == [2.0]


def test_the_ratio_to_a_floor_of_zero_is_infinite() -> None:
    assert ratios([1.0], [0.0]) == [math.inf]


def test_both_lists_must_have_the_same_length() -> None:
    with pytest.raises(ValueError, match="shorter"):
        ratios([1.0, 2.0], [1.0])


def test_spreads_are_apart_only_if_they_do_not_touch() -> None:
    assert Spread.of([1, 2]).differs_from(Spread.of([3, 4]))
    assert Spread.of([3, 4]).differs_from(Spread.of([1, 2]))
    assert not Spread.of([1, 3]).differs_from(Spread.of([3, 4]))
