"""Hosts that are cut off and come back, and what that did: told from the log of the database and from what was seen."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from app.domain.states import FINAL
from tests.chaos.checker import holds
from tests.chaos.history import History, LoggedEvent


@dataclass(frozen=True, slots=True)
class Outage:
    """A host was cut off at `at`, and its cable was back at `mended` (s); `back_s` after that it was at work again.

    `extensions` are those that were connected to it, `in_again_s` is when the last of them was at another host.
    """

    host: str
    at: float
    mended: float
    back_s: float
    extensions: frozenset[str] = frozenset()
    in_again_s: float | None = None


@dataclass(frozen=True, slots=True)
class OutageReport:
    """What came of a cut. `open` requests there were at that moment, `held` of them in the hands of its extensions; after
    `ended_s` the last of them had ended. For `pause_s`, at the longest, no request at all ended while it was cut off."""

    cut: Outage
    open: int
    held: int
    ended_s: float
    pause_s: float


def outage_report(cut: Outage, history: History) -> OutageReport:
    """Its report, once everything is over."""
    logs = history.final.log
    open_then = [log for log in logs.values() if _open_at(log, cut.at)]
    ended_s = max((_end_s(log) - cut.at for log in open_then), default=0.0)
    held = sum(_held_by(log, cut) for log in open_then)
    return OutageReport(cut, len(open_then), held, ended_s, _pause_s(logs.values(), cut))


def slowest_s(history: History) -> float:
    """How long the slowest request took from its acceptance to its end."""
    return max(_end_s(log) - log[0].at / 1000 for log in history.final.log.values())


def in_again_s(history: History, extensions: Iterable[str], at: float) -> float:
    """How long after `at` the last of the extensions was in again. Raises ValueError where one was not."""
    waits = []
    for name in extensions:
        moments = [m.at for m in history.records.moments if m.extension == name and m.what.startswith("is in")]
        waits.append(min((moment - at for moment in moments if moment > at), default=None))
    if None in waits:
        raise ValueError(f"not all of {sorted(extensions)} connected again")
    return max(wait for wait in waits if wait is not None)


def connected_to(history: History, address: str) -> frozenset[str]:
    """The extensions whose last connection is to an address that begins like this, and who are in."""
    last: dict[str, str] = {}
    entered: set[str] = set()
    for moment in history.records.moments:
        if moment.what.startswith("opens "):
            last[moment.extension] = moment.what
            entered.discard(moment.extension)
        elif moment.what.startswith("is in"):
            entered.add(moment.extension)
    return frozenset(name for name in entered if last[name].startswith(f"opens {address}"))


def _open_at(log: Sequence[LoggedEvent], at: float) -> bool:
    return bool(log) and log[0].at / 1000 <= at < _end_s(log)


def _end_s(log: Sequence[LoggedEvent]) -> float:
    """When it ended; one that never did is told of by the checker."""
    return next((event.at / 1000 for event in log if event.status in FINAL), float("inf"))


def _held_by(log: Sequence[LoggedEvent], cut: Outage) -> bool:
    ms = cut.at * 1000
    return any(
        hold.extension in cut.extensions and hold.begun <= ms and (hold.ended is None or hold.ended > ms)
        for hold in holds(log)
    )


def _pause_s(logs: Iterable[Sequence[LoggedEvent]], cut: Outage) -> float:
    ends = sorted(at for at in map(_end_s, logs) if cut.at < at < cut.mended)
    return max(later - earlier for earlier, later in pairwise([cut.at, *ends, cut.mended]))
