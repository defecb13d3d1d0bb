"""Tiers of users: their weight in the queue, the priority of their requests, and the highest one they may ask for."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from app.domain.errors import Forbidden
from app.domain.fair_queueing import Priority

MOST_WEIGHT = 1_000


@dataclass(frozen=True, slots=True)
class Tier:
    """A user of twice the weight gets twice as many pictures of a queue. `default` is the priority if none is named."""

    name: str
    weight: int = 1
    default: Priority = Priority.NORMAL
    highest: Priority = Priority.HIGH

    def priority(self, wanted: Priority | None) -> Priority:
        """The priority of a request that asks for `wanted`. Raises Forbidden if that is higher than allowed."""
        if wanted is None:
            return self.default
        if wanted < self.highest:
            raise Forbidden(
                f"priority {wanted.word} is higher than your tier ({self.name}) allows: "
                f"the highest is {self.highest.word}."
            )
        return wanted


@dataclass(frozen=True, slots=True)
class Tiers:
    """The tiers by name; `default` is the name of the one of users who have none of their own."""

    by_name: Mapping[str, Tier]
    default: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Tiers such as `free:1:low:normal,standard:2:normal:high`: name, weight, default and highest priority.

        The one named `standard`, or else the first one, is the default. Raises ValueError.
        """
        tiers = [_tier(each) for each in text.split(",")]
        by_name = {tier.name: tier for tier in tiers}
        if len(by_name) != len(tiers):
            raise ValueError("a tier is named twice")
        return cls(by_name, "standard" if "standard" in by_name else tiers[0].name)

    def named(self, name: str | None) -> Tier:
        """The tier of that name; the default one for none, or for one that is configured no longer."""
        return self.by_name.get(name or self.default) or self.by_name[self.default]


def _tier(text: str) -> Tier:
    name, weight, *words = (part.strip() for part in text.split(":"))
    priorities = {priority.word: priority for priority in Priority}
    if len(words) != 2 or not priorities.keys() >= {*words}:
        raise ValueError("a tier is name:weight:default:highest")
    tier = Tier(name, int(weight), priorities[words[0]], priorities[words[1]])
    if not (0 < len(name) <= 32 and name.isascii() and name.replace("-", "").isalnum()):
        raise ValueError("a name is letters, digits and -")
    if not 1 <= tier.weight <= MOST_WEIGHT or tier.default < tier.highest:
        raise ValueError("a weight is from 1 to 1,000, and the default priority is not above the highest one")
    return tier


DEFAULT = Tiers.parse("free:1:normal:normal,standard:2:normal:high,premium:4:normal:high")
EXAMPLE = (
    "tiers such as free:1:low:normal,standard:2:normal:high (name:weight:default:highest; high, normal, low, idle)"
)
EVERYBODY = Tier("standard")  # where callers do not prove who they are, any priority may be asked for
