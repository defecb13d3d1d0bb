"""Compares two results by their ratios to the floors, which are comparable across days, where there are floors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bench.figures import Spread, formatted
from bench.results import Result, Row


@dataclass(frozen=True, slots=True)
class Change:
    """One quantity in both results. `verdict` is better, worse, or same if the spreads overlap."""

    measure: str
    label: str
    unit: str
    before: Spread
    after: Spread
    verdict: str

    @property
    def factor(self) -> float:
        """The later median over the earlier one."""
        return self.after.median / self.before.median if self.before.median else float("inf")


def changes(before: Result, after: Result) -> Iterator[Change]:
    """Every quantity that both results have."""
    known = {(measure.name, row.label): row for measure in before.measures for row in measure.rows}
    for measure in after.measures:
        for row in measure.rows:
            old = known.get((measure.name, row.label))
            if old is not None:
                yield _change(measure.name, old, row)


def _change(measure: str, old: Row, new: Row) -> Change:
    before, after = old.ratio, new.ratio
    if before is None or after is None:
        before, after, unit, more_is_better = old.spread, new.spread, new.unit, new.more_is_better
    else:
        unit, more_is_better = "× floor", False
    verdict = "same"
    if before.differs_from(after):
        verdict = "better" if (after.median > before.median) == more_is_better else "worse"
    return Change(measure, new.label, unit, before, after, verdict)


def table(before: Result, after: Result) -> str:
    """The changes as lines of text."""
    lines = []
    if before.settings != after.settings:
        lines.append(f"The results were measured with different settings: {before.settings} and {after.settings}.")
    lines += [f"{'measure':<10} {'quantity':<58} {'before':>10} {'after':>10} {'factor':>7}  verdict"]
    for each in changes(before, after):
        figures = f"{formatted(each.before.median):>10} {formatted(each.after.median):>10} {each.factor:>7.2f}"
        lines.append(f"{each.measure:<10} {each.label[:58]:<58} {figures}  {each.verdict} ({each.unit})")
    return "\n".join(lines)
