"""Taking turns: the service, its floor, the service, its floor, so that whatever else the machine does meets all of them."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Turn:
    """What one turn said: figures by name, and CPU an operation of each process."""

    figures: dict[str, float]
    cpu: dict[str, float] = field(default_factory=dict)


def in_turns(repeats: int, *takers: Callable[[], Turn]) -> list[list[Turn]]:
    """All of them, one after the other, so often; the turns of each."""
    rounds = [[take() for take in takers] for _ in range(repeats)]
    return [list(turns) for turns in zip(*rounds, strict=True)]


def average(turns: list[Turn]) -> dict[str, float]:
    """The median CPU of each process, by name; those that did nothing are left out."""
    names = {name for turn in turns for name in turn.cpu}
    medians = {name: statistics.median(turn.cpu.get(name, 0.0) for turn in turns) for name in sorted(names)}
    return {name: cpu for name, cpu in medians.items() if cpu > 0.5}


def values(turns: list[Turn], name: str) -> list[float]:
    """One figure of each turn."""
    return [turn.figures[name] for turn in turns]


def cpu(turns: list[Turn], *names: str) -> list[float]:
    """The CPU of some processes in each turn; of all that serve where none is named."""
    return [sum(each for name, each in turn.cpu.items() if name in (names or SERVING)) for turn in turns]


SERVING = ("web", "dispatch", "download", "beat", "redis", "postgresql", "sending", "worker")
