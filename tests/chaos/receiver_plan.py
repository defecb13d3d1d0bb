"""How the receiver of webhooks behaves in a run: when it is away, and how it answers."""

from __future__ import annotations

import random
from dataclasses import dataclass
from enum import IntEnum


class Reply(IntEnum):
    """What the receiver does with one attempt; the number is the status that it answers."""

    TAKES = 204
    REDIRECTS = 307
    GONE = 410
    BUSY = 503
    BROKEN = 500
    CLOSES = 0  # closes the connection without an answer
    HANGS = 1  # does so after the attempt's time-out


ODD = (Reply.BROKEN, Reply.BROKEN, Reply.BUSY, Reply.REDIRECTS, Reply.CLOSES)
ODD_SHARE = 0.2
HANGING_SHARE = 0.01
DRAWN = 2_000


@dataclass(frozen=True, slots=True)
class ReceiverPlan:
    """`absences` are times in seconds, each with its length, for which nothing listens. `replies` are given in turn."""

    absences: tuple[tuple[float, float], ...]
    replies: tuple[Reply, ...]


WELL = ReceiverPlan((), (Reply.TAKES,))


def draw_receiver(randomness: random.Random, seconds: float) -> ReceiverPlan:
    """It is away once in each third of the run, in the last one until after its end."""
    third = seconds / 3
    starts = [round(randomness.uniform(n * third, (n + 0.6) * third), 3) for n in range(2)]
    absences = [(start, round(randomness.uniform(0.5, 0.4 * third), 3)) for start in starts]
    absences.append((round(seconds - 0.2 * third, 3), 0.4 * third))
    return ReceiverPlan(tuple(absences), tuple(_reply(randomness) for _ in range(DRAWN)))


def _reply(randomness: random.Random) -> Reply:
    drawn = randomness.random()
    if drawn < HANGING_SHARE:
        return Reply.HANGS
    return randomness.choice(ODD) if drawn < HANGING_SHARE + ODD_SHARE else Reply.TAKES
