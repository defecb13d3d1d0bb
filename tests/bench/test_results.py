"""Results: saved, loaded, compared, formatted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench import page
from bench.compare import changes, table
from bench.results import Bar, Measure, Result, Row

MACHINE: dict[str, Any] = {
    "at": "2026-01-14T12:00:00+00:00",
    "processor": "A <fast> one",
    "cores": 2,
    "memoryGiB": 8.0,
    "system": "Linux 6",
    "python": "3.11.7",
    "loadBefore": 0.1,
    "packages": {"flask": "3.1"},
}


def result(*rows: Row) -> Result:
    measure = Measure(
        "submit", "Submitting", "What was compared.", list(rows), [Bar("one", {"web": 1200.0, "redis": 80.0})]
    )
    return Result(MACHINE, {"quick": True}, [measure])


def test_a_budget_is_met_by_the_median_of_the_ratios() -> None:
    assert Row("CPU", "µs", [10, 14, 30], [10, 10, 10], 1.5).held is True
    assert Row("CPU", "µs", [10, 16, 30], [10, 10, 10], 1.5).held is False
    assert Row("CPU", "µs", [10, 14, 30], [10, 10, 10]).held is None
    assert Row("CPU", "µs", [10], None, 1.5).held is None


def test_a_result_is_read_as_it_was_written(tmp_path: Path) -> None:
    written = result(Row("CPU", "µs", [2.0, 3.0], [1.0, 1.0], 1.5), Row("rate", "/s", [50.0], more_is_better=True))
    written.save(tmp_path / "a.json")
    assert Result.load(tmp_path / "a.json") == written


def test_a_result_of_another_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"schema": 0}')
    with pytest.raises(ValueError, match="another version of the benchmark"):
        Result.load(tmp_path / "a.json")


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [
        (Row("x", "µs", [4, 5], [1, 1]), Row("x", "µs", [2, 3], [1, 1]), "better"),
        (Row("x", "µs", [2, 3], [1, 1]), Row("x", "µs", [4, 5], [1, 1]), "worse"),
        (Row("x", "µs", [2, 4], [1, 1]), Row("x", "µs", [3, 5], [1, 1]), "same"),
        # a machine twice as slow is no change
        (Row("x", "µs", [2, 3], [1, 1]), Row("x", "µs", [4, 6], [2, 2]), "same"),
        (Row("x", "/s", [10], more_is_better=True), Row("x", "/s", [20], more_is_better=True), "better"),
        (Row("x", "/s", [20], more_is_better=True), Row("x", "/s", [10], more_is_better=True), "worse"),
        (Row("x", "/s", [20], [40], more_is_better=True), Row("x", "/s", [10], [40], more_is_better=True), "worse"),
    ],
)
def test_two_results_differ_if_their_spreads_do_not_overlap(before: Row, after: Row, verdict: str) -> None:
    (change,) = changes(result(before), result(after))
    assert change.verdict == verdict
    assert verdict in table(result(before), result(after))


def test_a_quantity_of_only_one_result_is_not_compared() -> None:
    assert not list(changes(result(Row("x", "µs", [1])), result(Row("y", "µs", [1]))))


def test_the_page_shows_everything_and_loads_nothing() -> None:
    text = page.html(result(Row("CPU & more", "µs", [10, 14, 30], [10, 10, 10], 1.5), Row("rate", "/s", [50.0])))
    for part in (
        "CPU &amp; more",
        "A &lt;fast&gt; one",
        "1.40 ×",
        "≤ 1.5 ×",
        "prefers-color-scheme: dark",
        "A quick run",
    ):
        assert part in text
    assert "http" not in text
    assert text.count("<svg") == 3  # the budgets, the ratios, the bars
