"""The effects of disconnecting a host, derived from the event log and from what clients and extensions observed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from app.domain.states import FINAL
from tests.chaos.checker import holds
from tests.chaos.history import History, LoggedEvent


@dataclass(frozen=True, slots=True)
class Outage:
    """A host was disconnected from `at` to `ended` (s since the epoch), and worked again `recovered_s` after that.

    `extensions` were connected to it; the last of them was connected to another host after `reconnected_s`.
    """

    host: str
    at: float
    ended: float
    recovered_s: float
    extensions: frozenset[str] = frozenset()
    reconnected_s: float | None = None


@dataclass(frozen=True, slots=True)
class OutageReport:
    """The effect of an outage: `open` requests at its beginning, of which its extensions held `held`.

    The last of these requests ended after `ended_s`. `pause_s` is the longest time during the outage in which no request
    ended.
    """

    outage: Outage
    open: int
    held: int
    ended_s: float
    pause_s: float


def outage_report(outage: Outage, history: History) -> OutageReport:
    """The report on an outage, once all requests have ended."""
    logs = history.final.log
    open_then = [log for log in logs.values() if _open_at(log, outage.at)]
    ended_s = max((_end_s(log) - outage.at for log in open_then), default=0.0)
    held = sum(_held_by(log, outage) for log in open_then)
    return OutageReport(outage, len(open_then), held, ended_s, _pause_s(logs.values(), outage))


def slowest_s(history: History) -> float:
    """The longest time from the acceptance of a request to its end."""
    return max(_end_s(log) - log[0].at / 1000 for log in history.final.log.values())


def reconnected_s(history: History, extensions: Iterable[str], at: float) -> float:
    """How long after `at` the last of the extensions was authenticated again. Raises ValueError if one was not."""
    waits = []
    for name in extensions:
        moments = [
            m.at for m in history.records.moments if m.extension == name and m.what.startswith("is authenticated")
        ]
        waits.append(min((moment - at for moment in moments if moment > at), default=None))
    if None in waits:
        raise ValueError(f"not all of {sorted(extensions)} reconnected")
    return max(wait for wait in waits if wait is not None)


def connected_to(history: History, address: str) -> frozenset[str]:
    """The extensions that are authenticated on a connection to a URL with this prefix."""
    last: dict[str, str] = {}
    authenticated: set[str] = set()
    for moment in history.records.moments:
        if moment.what.startswith("opens "):
            last[moment.extension] = moment.what
            authenticated.discard(moment.extension)
        elif moment.what.startswith("is authenticated"):
            authenticated.add(moment.extension)
    return frozenset(name for name in authenticated if last[name].startswith(f"opens {address}"))


def _open_at(log: Sequence[LoggedEvent], at: float) -> bool:
    return bool(log) and log[0].at / 1000 <= at < _end_s(log)


def _end_s(log: Sequence[LoggedEvent]) -> float:
    """When it ended; the checker reports requests that never did."""
    return next((event.at / 1000 for event in log if event.status in FINAL), float("inf"))


def _held_by(log: Sequence[LoggedEvent], outage: Outage) -> bool:
    ms = outage.at * 1000
    return any(
        hold.extension in outage.extensions and hold.begun <= ms and (hold.ended is None or hold.ended > ms)
        for hold in holds(log)
    )


def _pause_s(logs: Iterable[Sequence[LoggedEvent]], outage: Outage) -> float:
    ends = sorted(at for at in map(_end_s, logs) if outage.at < at < outage.ended)
    return max(later - earlier for earlier, later in pairwise([outage.at, *ends, outage.ended]))
