"""Measures service and floor alternately, so that other load on the machine affects both."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Turn:
    """The figures of one turn by name, and the CPU per operation of each process."""

    figures: dict[str, float]
    cpu: dict[str, float] = field(default_factory=dict)


def in_turns(repeats: int, *takers: Callable[[], Turn]) -> list[list[Turn]]:
    """Run all of them in turn, `repeats` times; returns the turns of each."""
    rounds = [[take() for take in takers] for _ in range(repeats)]
    return [list(turns) for turns in zip(*rounds, strict=True)]


def average(turns: list[Turn]) -> dict[str, float]:
    """The median CPU of each process, by name; idle ones are left out."""
    names = {name for turn in turns for name in turn.cpu}
    medians = {name: statistics.median(turn.cpu.get(name, 0.0) for turn in turns) for name in sorted(names)}
    return {name: cpu for name, cpu in medians.items() if cpu > 0.5}


def values(turns: list[Turn], name: str) -> list[float]:
    """One figure of every turn."""
    return [turn.figures[name] for turn in turns]


def cpu(turns: list[Turn], *names: str) -> list[float]:
    """The CPU of some processes in each turn; of all server processes if no name is given."""
    return [sum(each for name, each in turn.cpu.items() if name in (names or SERVING)) for turn in turns]


SERVING = ("web", "dispatch", "download", "beat", "redis", "postgresql", "sending", "worker")
