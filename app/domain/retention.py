"""For how many days pictures are kept, by the tier of their user, and what a request may ask for."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Self

from app.domain.errors import InvalidRequest
from app.domain.image_request import KEEP_DAYS

OFF, ALL_OTHERS = "off", "*"
EXAMPLE = "off, a number of days from 1 to 3650, or those of tiers of TIERS, such as free=7,premium=off,*=90"
DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Retention:
    """The days by the name of the tier, and those of all other tiers. None is for ever."""

    by_tier: Mapping[str, int | None] = field(default_factory=dict)
    others: int | None = None

    @classmethod
    def parse(cls, text: str, tiers: Collection[str]) -> Self:
        """`off`, a number for everybody, or `free=7,pro=90,*=30` with these `tiers`. Raises ValueError."""
        if "=" not in text:
            return cls(others=_days(text.strip()))
        pairs = [[part.strip() for part in each.split("=")] for each in text.split(",")]
        days = {name: _days(value) for name, value in pairs}
        if len(days) != len(pairs) or not days.keys() <= {*tiers, ALL_OTHERS}:
            raise ValueError("a tier is named twice, or is none of TIERS")
        others = days.pop(ALL_OTHERS, None)
        return cls(days, others)

    @property
    def is_off(self) -> bool:
        """True if nothing is removed unless its request asks for that."""
        return self.others is None and not any(self.by_tier.values())

    def of(self, tier: str) -> int | None:
        """For how many days pictures of this tier are kept; None is for ever."""
        return self.by_tier.get(tier, self.others)

    def check(self, wanted: int | None, tier: str) -> None:
        """Raises InvalidRequest if a request asks for more days than its tier has."""
        most = self.of(tier)
        if wanted is not None and most is not None and wanted > most:
            raise InvalidRequest(
                f"keep is {wanted} days: pictures of your tier ({tier}) are kept for {most} at most (RETENTION_DAYS). "
                "Ask for fewer days, or leave it out.",
                field="keep",
            )

    def lifetime_ms(self, wanted: int | None, tier: str) -> int | None:
        """How long the pictures are kept of a request that asks for `wanted` days; None is for ever."""
        days = [each for each in (wanted, self.of(tier)) if each is not None]
        return min(days) * DAY_MS if days else None


def _days(text: str) -> int | None:
    """Raises ValueError."""
    if text.lower() == OFF:
        return None
    least, most = KEEP_DAYS
    if not (text.isascii() and text.isdigit()) or not least <= int(text) <= most:
        raise ValueError(f"days are from {least} to {most}")
    return int(text)
