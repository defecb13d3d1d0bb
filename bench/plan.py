"""How much is measured: how often, for how long, with how many."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")

DATABASES = ("sqlite", "postgresql")
# waiting and finished rows
GROWN = {
    "quick": {"sqlite": (2_000, 10_000), "postgresql": (5_000, 20_000)},
    "default": {"sqlite": (10_000, 100_000), "postgresql": (100_000, 500_000)},
    "full": {"sqlite": (100_000, 1_000_000), "postgresql": (1_000_000, 10_000_000)},
}


@dataclass(frozen=True, slots=True)
class Plan:
    """`database` is None where measures about databases take both, and the others SQLite."""

    quick: bool = False
    full_growth: bool = False
    database: str | None = None

    def pick(self, usual: T, quick: T) -> T:
        """The one or the other."""
        return quick if self.quick else usual

    @property
    def repeats(self) -> int:
        """How often each thing is measured; odd, so that the median is one of them."""
        return self.pick(5, 3)

    @property
    def seconds(self) -> float:
        """How long load lasts each time."""
        return self.pick(2.0, 1.0)

    @property
    def one_database(self) -> str:
        """For measures that are not about databases."""
        return self.database or "sqlite"

    @property
    def databases(self) -> tuple[str, ...]:
        """For those that are."""
        return (self.database,) if self.database else DATABASES

    def rows(self, database: str) -> tuple[int, int]:
        """How many requests wait and how many are finished where there are many."""
        size = "full" if self.full_growth else self.pick("default", "quick")
        return GROWN[size][database]
