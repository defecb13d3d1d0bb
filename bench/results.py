"""The results of a run as plain data, saved as JSON."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.figures import Spread, ratios

SCHEMA = 2


@dataclass(frozen=True)
class Row:
    """One quantity: the repeats of the service, and of the floor beside it if there is one.

    `budget` is the ratio that is to be held, None where the figure is only reported.
    """

    label: str
    unit: str
    subject: list[float]
    floor: list[float] | None = None
    budget: float | None = None
    more_is_better: bool = False

    @property
    def spread(self) -> Spread:
        """The spread of the service."""
        return Spread.of(self.subject)

    @property
    def floor_spread(self) -> Spread | None:
        """The spread of the floor."""
        return None if self.floor is None else Spread.of(self.floor)

    @property
    def ratio(self) -> Spread | None:
        """The ratio of the service to the floor, pair by pair."""
        if self.floor is None:
            return None
        return Spread.of(ratios(self.subject, self.floor, more_is_better=self.more_is_better))

    @property
    def held(self) -> bool | None:
        """Whether the ratio is within the budget; None without a budget."""
        ratio = self.ratio
        return None if self.budget is None or ratio is None else ratio.median <= self.budget


@dataclass(frozen=True)
class Bar:
    """What one operation costs in each process."""

    label: str
    parts: dict[str, float]


@dataclass
class Measure:
    """One measure of a run. `explanation` says what was compared with what."""

    name: str
    title: str
    explanation: str
    rows: list[Row] = field(default_factory=list)
    bars: list[Bar] = field(default_factory=list)
    bars_unit: str = "CPU µs an operation"
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0


@dataclass
class Result:
    """A whole run on one machine."""

    machine: dict[str, Any]
    settings: dict[str, Any]
    measures: list[Measure] = field(default_factory=list)
    schema: int = SCHEMA

    def save(self, path: Path) -> None:
        """Write JSON, with the medians and ratios beside the raw values."""
        body = dataclasses.asdict(self)
        for measure, measure_body in zip(self.measures, body["measures"], strict=True):
            for row, row_body in zip(measure.rows, measure_body["rows"], strict=True):
                row_body["median"] = row.spread.median
                row_body["ratio"] = None if row.ratio is None else dataclasses.asdict(row.ratio)
                row_body["held"] = row.held
        path.write_text(json.dumps(body, indent=1, ensure_ascii=False) + "\n")

    @classmethod
    def load(cls, path: Path) -> Result:
        """Read what `save` wrote. Raises ValueError if another version of the benchmark wrote it."""
        body = json.loads(path.read_text())
        if body.get("schema") != SCHEMA:
            raise ValueError(f"{path} was written by another version of the benchmark.")
        measures = [_measure(each) for each in body["measures"]]
        return cls(body["machine"], body["settings"], measures)


def _measure(body: dict[str, Any]) -> Measure:
    rows = [Row(**{each.name: row[each.name] for each in dataclasses.fields(Row)}) for row in body["rows"]]
    return Measure(**{**body, "rows": rows, "bars": [Bar(**bar) for bar in body["bars"]]})
