"""The plan of a run: requests and extensions that always behave well. Only the network fails."""

from __future__ import annotations

import random

from tests.chaos.plan import AttemptPlan, ExtensionPlan, Follow, Plan, PlannedRequest, Source

MODEL = "dall-e-3"
EXTENSIONS = 8
SLOTS = 2
# No uploads: they go to the web host that made the offer, and there is no load balancer to use another one.
SOURCES = (Source.DATA, Source.WEB, Source.SLOW)


def draw(seed: int, jobs: int, seconds: float) -> Plan:
    """`jobs` requests spread evenly over `seconds`, so that extensions hold some of them at any moment."""
    randomness = random.Random(seed)
    extensions = tuple(
        ExtensionPlan(n, literal=False, echoes=True, slots=SLOTS, capabilities=(MODEL,)) for n in range(EXTENSIONS)
    )
    requests = tuple(_request(randomness, n, n * seconds / jobs) for n in range(jobs))
    return Plan(seed, seconds, requests, extensions, ())


def _request(randomness: random.Random, number: int, at_s: float) -> PlannedRequest:
    attempts = tuple(
        AttemptPlan(work_s=round(randomness.uniform(1.0, 5.0), 3), source=randomness.choice(SOURCES)) for _ in range(3)
    )
    return PlannedRequest(number, round(at_s, 3), MODEL, 1, randomness.choice(list(Follow)), attempts)
