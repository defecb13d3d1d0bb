"""How much is measured: repeats, durations, sizes."""

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
    """`database` None means: both for measures about databases, SQLite for the others."""

    quick: bool = False
    full_growth: bool = False
    database: str | None = None

    def pick(self, usual: T, quick: T) -> T:
        """One of the two values, depending on `quick`."""
        return quick if self.quick else usual

    @property
    def repeats(self) -> int:
        """The number of repeats; odd, so that the median is one of them."""
        return self.pick(5, 3)

    @property
    def seconds(self) -> float:
        """The duration of one load, in s."""
        return self.pick(2.0, 1.0)

    @property
    def one_database(self) -> str:
        """The database for measures that are not about databases."""
        return self.database or "sqlite"

    @property
    def databases(self) -> tuple[str, ...]:
        """The databases for measures that are."""
        return (self.database,) if self.database else DATABASES

    def rows(self, database: str) -> tuple[int, int]:
        """The number of waiting and of finished requests in the large database."""
        size = "full" if self.full_growth else self.pick("default", "quick")
        return GROWN[size][database]
