"""Who asks for what while hosts are cut off, and how extensions do it: well. The weather is the network's alone."""

from __future__ import annotations

import random

from tests.chaos.plan import Follow, Member, Order, Plan, Source, Turn

MODEL = "dall-e-3"
EXTENSIONS = 8
SLOTS = 2
# Not by upload, which goes to the web host that made the offer: behind a load balancer any other takes it, here none.
SOURCES = (Source.DATA, Source.WEB, Source.SLOW)


def draw(seed: int, jobs: int, seconds: float) -> Plan:
    """`jobs` requests spread evenly over `seconds`, and extensions that have some of them in hand at any moment."""
    randomness = random.Random(seed)
    members = tuple(
        Member(n, literal=False, echoes=True, slots=SLOTS, capabilities=(MODEL,)) for n in range(EXTENSIONS)
    )
    orders = tuple(_order(randomness, n, n * seconds / jobs) for n in range(jobs))
    return Plan(seed, seconds, orders, members, ())


def _order(randomness: random.Random, number: int, at_s: float) -> Order:
    turns = tuple(
        Turn(work_s=round(randomness.uniform(1.0, 5.0), 3), source=randomness.choice(SOURCES)) for _ in range(3)
    )
    return Order(number, round(at_s, 3), MODEL, 1, randomness.choice(list(Follow)), turns)
