"""Why a request waits, and what would help: sentences for people, codes for programs."""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from app.domain.clock import wire_time
from app.domain.operations import split_key
from app.domain.pauses import PauseKind, Pauses, QueuePause
from app.domain.policy import ANY_MODEL, Abilities, FleetGroup, can_do, models_of


class ReasonCode(StrEnum):
    """Why a request waits; of several reasons the first one here."""

    FOLLOWS = "FOLLOWS"
    PAUSED_USER = "PAUSED_USER"
    BATCH_PAUSED = "BATCH_PAUSED"
    BATCH_CONCURRENCY = "BATCH_CONCURRENCY"
    PAUSED_ALL = "PAUSED_ALL"
    PAUSED_MODEL = "PAUSED_MODEL"
    NO_EXTENSION = "NO_EXTENSION"
    NO_CAPABLE_EXTENSION = "NO_CAPABLE_EXTENSION"
    NOT_ACCEPTING = "NOT_ACCEPTING"
    PAUSED_EXTENSIONS = "PAUSED_EXTENSIONS"
    COOLING_DOWN = "COOLING_DOWN"
    BUSY = "BUSY"
    ABOUT_TO_START = "ABOUT_TO_START"


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a request waits. `remedy` is what would help, None if nothing needs to be done; `ends_at` is when the reason ends
    by itself (ms), if that is known."""

    code: ReasonCode
    sentence: str
    remedy: str | None = None
    ends_at: int | None = None

    @property
    def is_pause(self) -> bool:
        """An operator has paused the queue."""
        return self.code in (ReasonCode.PAUSED_ALL, ReasonCode.PAUSED_MODEL)


@dataclass(frozen=True, slots=True)
class Capacity:
    """The extensions that can take requests for a model now: how many there are, and their slots.

    `share` is how many slots the model has, if models that are waited for take turns on those that they have in common.
    """

    extensions: int = 0
    slots: int = 0
    busy: int = 0
    share: float = 0.0

    @property
    def free(self) -> int:
        return self.slots - self.busy

    @classmethod
    def of(cls, groups: Sequence[FleetGroup], key: str = ANY_MODEL, waited_for: Collection[str] = ()) -> Self:
        """Of these extensions for the queue with this key, while requests wait in the queues `waited_for`."""
        able = capable(groups, key)
        share = sum(group.slots / _sharing(group, waited_for) for group in able)
        ready, slots, busy = (sum(getattr(group, name) for group in able) for name in ("ready", "slots", "busy"))
        return cls(ready, slots, busy, share)


def capable(groups: Sequence[FleetGroup], key: str) -> list[FleetGroup]:
    """Those that serve the queue with this key (see `policy.can_do`)."""
    return [group for group in groups if can_do(group.capabilities, key)]


def _sharing(group: FleetGroup, waited_for: Collection[str]) -> int:
    """How many of the queues `waited_for` these extensions serve, at least one."""
    served = Abilities.of([group.capabilities])
    return max(1, sum(served.include(key) for key in waited_for))


def why(groups: Sequence[FleetGroup], key: str, ahead: int, pauses: Pauses, now_ms: int, *, queue: str) -> Reason:
    """Why a request that is in the queue of the model `queue` still waits; `key` is what it needs (see `policy.can_do`).

    `ahead` others are before it.
    """
    if (pause := pauses.queue(queue)) is not None:
        return _paused(pause)
    able, wanted = capable(groups, key), f"an extension{_that_makes(key)}"
    if not groups:
        return Reason(ReasonCode.NO_EXTENSION, "No extension is connected.", f"Connect {wanted}.")
    if not able:
        return _no_capable(groups, key, wanted)
    if not any(group.ready for group in able):
        return _not_ready(able, wanted, now_ms)
    capacity = Capacity.of(able)
    if ahead < capacity.free:
        return Reason(ReasonCode.ABOUT_TO_START, "The request is about to be assigned.")
    return Reason(ReasonCode.BUSY, _busy(capacity), f"Wait, or connect another extension{_that_makes(key)}.")


def _no_capable(groups: Sequence[FleetGroup], key: str, wanted: str) -> Reason:
    model, operation = split_key(key)
    if operation.capability is None:
        sentence = f"No connected extension supports the model {model}. Supported are: {models_of(groups)}."
        remedy = f"Connect {wanted}, or ask for a model that is supported."
    else:
        sentence = f"No connected extension can make {operation.what}{'' if model == ANY_MODEL else f' with {model}'}."
        remedy = f"Connect {wanted}."
        others = [group for group in groups if can_do(group.capabilities, ANY_MODEL + operation)]
        if others:
            sentence += f" Others can with: {models_of(others)}."
            remedy = f"Connect {wanted}, or ask for a model that is supported."
    return Reason(ReasonCode.NO_CAPABLE_EXTENSION, sentence, remedy)


def _not_ready(able: Sequence[FleetGroup], wanted: str, now_ms: int) -> Reason:
    resting = [group for group in able if group.cooldown_until is not None]
    if resting:
        first = min(resting, key=lambda group: group.cooldown_until or 0)
        seconds = math.ceil(((first.cooldown_until or 0) - now_ms) / 1000)
        cause = f": {first.cooldown_reason}" if first.cooldown_reason else "."
        return Reason(
            ReasonCode.COOLING_DOWN,
            f"The extensions that support the model are paused for another {max(0, seconds)} s after a failure{cause}",
            f"Wait, remove the cause of the failure, or connect another extension{_after(wanted)}.",
            first.cooldown_until,
        )
    if any(group.paused for group in able):
        return Reason(
            ReasonCode.PAUSED_EXTENSIONS,
            "An operator has paused the connected extensions that support the model.",
            f"Resume one of them, or connect another extension{_after(wanted)}.",
        )
    return Reason(
        ReasonCode.NOT_ACCEPTING,
        "The connected extensions that support the model are not accepting work at the moment.",
        f"Let one of them accept work again, or connect another extension{_after(wanted)}.",
    )


def _after(wanted: str) -> str:
    return wanted.removeprefix("an extension")


def _that_makes(key: str) -> str:
    model, operation = split_key(key)
    parts = [
        *([] if model == ANY_MODEL else [f"makes {model}"]),
        *([] if operation.capability is None else [f"announces {operation.capability}"]),
    ]
    return f" that {' and '.join(parts)}" if parts else ""


def _busy(capacity: Capacity) -> str:
    if capacity.free > 0:
        return "Requests that are ahead of it take the free slots of the extensions that support the model."
    if capacity.extensions == 1:
        return "The extension that supports the model is busy with other requests."
    return f"All {capacity.extensions} extensions that support the model are busy with other requests."


_WHAT = {
    PauseKind.ALL: (ReasonCode.PAUSED_ALL, "the queue", "Resume the queue"),
    PauseKind.MODEL: (ReasonCode.PAUSED_MODEL, "the queue of the model {name}", "Resume the model"),
    PauseKind.USER: (ReasonCode.PAUSED_USER, "the requests of {name}", "Resume the user"),
}


def _paused(pause: QueuePause) -> Reason:
    code, what, remedy = _WHAT[pause.target.kind]
    until = "" if pause.until is None else f" until {wire_time(pause.until)}"
    note = f": {pause.note}" if pause.note else "."
    sentence = f"An operator has paused {what.format(name=pause.target.name)}{until}{note}"
    return Reason(code, sentence, f"{remedy} (POST /api/queue/resume), which operators can.", pause.until)


def why_held(*, pause: QueuePause | None, in_batch: bool, batch_paused: bool, follows: str | None) -> Reason:
    """Why a request is held back: the request that it follows, the pause of its user, that of its batch, or else the
    concurrency of its batch. What is in no batch waits for its user."""
    if follows is not None:
        return Reason(ReasonCode.FOLLOWS, "An identical request of yours is in progress: this one gets its pictures.")
    if pause is not None:
        return _paused(pause)
    if not in_batch:
        return Reason(ReasonCode.PAUSED_USER, "An operator has paused the requests of its user.")
    if batch_paused:
        remedy = "Resume the batch (POST /api/batches/{batchId}/resume)."
        return Reason(ReasonCode.BATCH_PAUSED, "Its batch is paused.", remedy)
    return Reason(
        ReasonCode.BATCH_CONCURRENCY,
        "As many requests of its batch are in progress or in the queue as the concurrency of the batch allows.",
        "Wait, or raise the concurrency of the batch.",
    )
