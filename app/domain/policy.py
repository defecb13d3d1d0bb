"""Decisions: whether an extension is free, which one gets a job, how long to back off."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Self

from app.domain.operations import CAPABILITIES, Operation, announced, queue_key, split_key
from app.domain.pauses import QueuePause

LISTED_MODELS = 20
ANY_MODEL = "*"
GENERIC_CAPABILITY = "image-generation"
ANY_KEYS = tuple(queue_key(ANY_MODEL, operation) for operation in Operation)  # of requests that name no model


@dataclass(frozen=True, slots=True)
class Candidate:
    """A connected extension with a free slot. `last_success_at` is in ms since the epoch, 0 if it never succeeded."""

    extension_id: str
    connection_id: str
    hub_id: str
    capabilities: tuple[str, ...]
    held: int
    max_concurrent: int
    last_success_at: int

    @property
    def load(self) -> float:
        """The share of its slots that is in use, 0 to 1."""
        return self.held / self.max_concurrent

    @property
    def free_slots(self) -> int:
        """How many more jobs it may be given."""
        return self.max_concurrent - self.held

    def with_one_more_job(self) -> Self:
        """A copy that holds one more job."""
        return replace(self, held=self.held + 1)


@dataclass(frozen=True, slots=True)
class FleetGroup:
    """The connected extensions that have the same capabilities.

    `accepting` of them accept work, `paused` of these operators have paused, and `ready` ones get some: the others rest,
    the first of them until `cooldown_until` (ms, None if none rests). `slots` and `busy` are those of the ready ones.
    """

    capabilities: tuple[str, ...]
    connected: int
    accepting: int
    paused: int
    ready: int
    slots: int
    busy: int
    cooldown_until: int | None = None
    cooldown_reason: str | None = None


class ExtensionStatus(StrEnum):
    """Whether an extension accepts work at the moment, and if not, why."""

    FREE = "free"
    BUSY = "busy"
    PAUSED = "paused"  # after a failure, at its own request, or by an operator
    DRAINING = "draining"  # an operator takes it away: it ends what it holds
    DRAINED = "drained"  # it holds nothing any more
    UNAVAILABLE = "unavailable"  # its heartbeats report that it accepts no work
    AWAY = "away"  # not connected


def extension_status(
    *, connected: bool, available: bool, paused: bool, held: int, slots: int, by_operator: QueuePause | None = None
) -> ExtensionStatus:
    """The status of an extension; what comes first here takes precedence."""
    if by_operator is not None and by_operator.drain and not held:
        return ExtensionStatus.DRAINED
    if not connected:
        return ExtensionStatus.AWAY
    if by_operator is not None:
        return ExtensionStatus.DRAINING if by_operator.drain else ExtensionStatus.PAUSED
    if not available:
        return ExtensionStatus.UNAVAILABLE
    if paused:
        return ExtensionStatus.PAUSED
    return ExtensionStatus.BUSY if held >= slots else ExtensionStatus.FREE


def models_of(extensions: Iterable[FleetGroup]) -> str:
    """The models that these extensions support, as a list for a sentence; the first of them if there are many."""
    names = sorted({name for each in extensions for name in _named(each.capabilities) or (ANY_MODEL,)})
    return ", ".join(names[:LISTED_MODELS]) + (", …" if len(names) > LISTED_MODELS else "")


def listed_models(extensions: Iterable[FleetGroup], default: str) -> list[str]:
    """The models that these extensions make, in alphabetical order, each once; `default` if one of them makes any model."""
    names = {name for each in extensions for name in _named(each.capabilities) or (default,)}
    spellings = {_lower(name): name for name in sorted(names, reverse=True)}
    return sorted(spellings.values())


def served_models(capabilities: Iterable[str]) -> frozenset[str] | None:
    """The models that these capabilities list, in lower case, or None for every model.

    An extension serves every model if its capabilities contain `*`, or nothing but operations such as `image-generation`.
    """
    named = _named(capabilities)
    return frozenset(_lower(name) for name in named) if named else None


@dataclass(frozen=True, slots=True)
class Abilities:
    """The queues that some extensions serve: for each operation the models, in lower case; None are all models."""

    models: Mapping[Operation, frozenset[str] | None]

    @classmethod
    def of(cls, extensions: Iterable[Collection[str]]) -> Self:
        """Those of extensions with these capabilities, taken together."""
        found: dict[Operation, frozenset[str] | None] = {}
        for capabilities in {tuple(each) for each in extensions}:
            models = served_models(capabilities)
            for operation in announced(capabilities):
                known = found.get(operation, frozenset())
                found[operation] = None if models is None or known is None else known | models
        return cls(found)

    def include(self, key: str) -> bool:
        """One of them serves the queue with this key."""
        model, operation = split_key(key)
        models = self.models.get(operation, frozenset())
        return models is None or _lower(model) in models


def model_for(capabilities: Iterable[str], wanted: str) -> str:
    """The model that an extension makes a picture with: `wanted` in the extension's own spelling.

    If it does not make that, which happens if the client named none, it is the first one that the extension names.
    """
    named = _named(capabilities)
    return next((name for name in named if _lower(name) == _lower(wanted)), named[0] if named else wanted)


def _lower(name: str) -> str:
    """Of ASCII names only, as clients' are: databases differ from Python elsewhere (the Kelvin sign is a k to Python)."""
    return name.lower() if name.isascii() else name


def _named(capabilities: Iterable[str]) -> list[str]:
    """The models that these capabilities list, as they spell them; none if the extension serves every model."""
    named = [name for name in capabilities if name != GENERIC_CAPABILITY and name not in CAPABILITIES]
    return [] if ANY_MODEL in named else named


def can_do(capabilities: Collection[str], key: str) -> bool:
    """True if an extension with these capabilities serves the queue with this key, which may be the name of a model; names
    match without case. `*` in place of the model is any."""
    model, operation = split_key(key)
    models = served_models(capabilities)
    return operation in announced(capabilities) and (model == ANY_MODEL or models is None or _lower(model) in models)


def choose(candidates: Iterable[Candidate], key: str, avoid: str | None = None) -> Candidate | None:
    """The extension that gets a job of the queue with this key (see `can_do`); None if none is free.

    The lowest load comes first, then the most recent success, then the id, which makes the choice stable. `avoid`, the
    extension whose attempt failed last, is chosen only if no other one is free.
    """
    capable = [c for c in candidates if c.free_slots > 0 and can_do(c.capabilities, key)]
    others = [c for c in capable if c.extension_id != avoid]
    return min(others or capable, key=lambda c: (c.load, -c.last_success_at, c.extension_id), default=None)


def backoff_ms(failures: int, jitter: float, base_ms: int = 1_000, cap_ms: int = 30_000) -> int:
    """The pause after that many failures in a row: exponential, capped, and reduced by up to half by `jitter` (0 to 1).

    The jitter keeps extensions that failed at the same moment from retrying at the same moment.
    """
    longest = min(cap_ms, base_ms * 2 ** min(max(failures - 1, 0), 30))
    return int(longest * (0.5 + 0.5 * jitter))
