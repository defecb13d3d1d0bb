"""How the house decides: who may do a job, who does it, how long to wait. Pure functions over frozen data."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

ANY_MODEL = "*"
GENERIC_CAPABILITY = "image-generation"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A connected extension with a free slot. `last_success_at` in ms since the epoch, 0 where it never succeeded."""

    extension_id: str
    connection_id: str
    hub_id: str
    capabilities: tuple[str, ...]
    held: int
    max_concurrent: int
    last_success_at: int

    @property
    def load(self) -> float:
        """The share of its slots in use, 0 to 1."""
        return self.held / self.max_concurrent

    @property
    def slots(self) -> int:
        """How many jobs more it takes."""
        return self.max_concurrent - self.held

    def with_one_more(self) -> Candidate:
        """The same once it holds another job."""
        return replace(self, held=self.held + 1)


@dataclass(frozen=True, slots=True)
class ConnectedExtension:
    """What is known of a connected extension when somebody asks why a job waits. `cooldown_until` in ms, 0 for never."""

    extension_id: str
    capabilities: tuple[str, ...]
    available: bool
    held: int
    max_concurrent: int
    cooldown_until: int
    cooldown_reason: str | None


def why_waiting(members: Iterable[ConnectedExtension], model: str, now_ms: int) -> str:
    """A sentence that tells a client why its job for `model` is not being done yet, given who is connected."""
    fleet = list(members)
    able = [m for m in fleet if can_do(m.capabilities, model)]
    willing = [m for m in able if m.available]
    rested = [m for m in willing if m.cooldown_until <= now_ms]
    if not fleet:
        return "No extension is connected."
    if not able:
        return f"No connected extension makes pictures with {model}."
    if not willing:
        return "The connected extensions that could do it take no work at the moment."
    if not rested:
        soonest = min(willing, key=lambda m: m.cooldown_until)
        seconds = -(-(soonest.cooldown_until - now_ms) // 1000)
        return f"The extensions that could do it rest for {seconds} s more after a failure: {soonest.cooldown_reason}"
    if all(m.held >= m.max_concurrent for m in rested):
        busy = (
            "The extension that can do it is"
            if len(rested) == 1
            else f"All {len(rested)} extensions that can do it are"
        )
        return f"{busy} busy with other requests."
    return "It is about to be handed over."


def served_models(capabilities: Iterable[str]) -> frozenset[str] | None:
    """The models that these capabilities name; None means every model.

    Every model: the capabilities contain `*`, or name nothing but `image-generation`.
    """
    named = frozenset(capabilities) - {GENERIC_CAPABILITY}
    return None if not named or ANY_MODEL in named else named


def can_do(capabilities: Iterable[str], model: str) -> bool:
    """True where an extension with these capabilities can make pictures with `model`."""
    models = served_models(capabilities)
    return models is None or model in models


def by_preference(candidates: Iterable[Candidate]) -> list[Candidate]:
    """The free extensions, best first: lowest load, then most recent success, then id so that the order is stable."""
    return sorted(candidates, key=lambda c: (c.load, -c.last_success_at, c.extension_id))


def choose(candidates: Iterable[Candidate], model: str, avoid: str | None = None) -> Candidate | None:
    """The extension that gets a job for `model`; `avoid` (who failed it last) only where nobody else is free."""
    able = [c for c in by_preference(candidates) if c.slots > 0 and can_do(c.capabilities, model)]
    others = [c for c in able if c.extension_id != avoid]
    return next(iter(others or able), None)


def virtual_start(now_ms: int, users_last_place: int | None, spacing_ms: int = 1_000) -> int:
    """Where a new job stands in the line, as a virtual time in ms: the lowest goes first.

    A user's waiting jobs stand `spacing_ms` apart, so that one who sends 500 at once does not make everybody else
    wait for all of them, while a user's own jobs keep their order.
    """
    return now_ms if users_last_place is None else max(now_ms, users_last_place + spacing_ms)


def backoff_ms(failures: int, jitter: float, base_ms: int = 1_000, cap_ms: int = 30_000) -> int:
    """The pause after the nth failure in a row: doubled each time, capped, and spread by `jitter` (0 to 1) over its
    upper half so that many that failed together do not come back together."""
    whole = min(cap_ms, base_ms * 2 ** min(max(failures - 1, 0), 30))
    return int(whole * (0.5 + 0.5 * jitter))
