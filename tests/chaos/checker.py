"""Holds what a run left behind against what is promised. Each check is a function from a history to what it violates."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from app.domain.errors import DOWNLOAD_FAILED, TIMEOUT
from app.domain.events import (
    ImageDownloadStartedEvent,
    ImageGenerationAssignedEvent,
    ImageGenerationFailedEvent,
)
from app.domain.states import FINAL, TABLE, Status
from tests.chaos.history import Fact, History

ASSIGNED = ImageGenerationAssignedEvent.__name__
STARTED = ImageDownloadStartedEvent.__name__
FAILED = ImageGenerationFailedEvent.__name__


@dataclass(frozen=True, slots=True)
class Violation:
    """A promise that was not kept."""

    promise: str
    request_id: str | None
    found: str

    def __str__(self) -> str:
        return f"{self.promise}: {self.request_id or '-'}: {self.found}"


Found = Iterator[tuple[str | None, str]]
Check = Callable[[History], Found]


@dataclass(frozen=True, slots=True)
class Hold:
    """An extension held a request, from and until then (ms); None where it still does. `ended_by` is that event."""

    extension: str
    attempt: int
    begun: int
    ended: int | None
    ended_by: Fact | None


def holds(log: Iterable[Fact]) -> list[Hold]:
    """Who held the request when, by its event log."""
    found: list[Hold] = []
    held: Fact | None = None
    for fact in log:
        if held is not None and fact.status != Status.PROCESSING:
            found.append(Hold(held.data["extension_id"], held.data["attempt"], held.at, fact.at, fact))
            held = None
        if fact.type == ASSIGNED:
            if held is not None:  # two at once: shown as two that overlap
                found.append(Hold(held.data["extension_id"], held.data["attempt"], held.at, None, None))
            held = fact
    if held is not None:
        found.append(Hold(held.data["extension_id"], held.data["attempt"], held.at, None, None))
    return found


def one_final_state(history: History) -> Found:
    """Every request ends, in exactly one way."""
    for row in history.ending.rows.values():
        if row.status not in FINAL:
            yield row.id, f"it is still {row.status} (attempt {row.attempt}, holder {row.holder})"


def final_rows_stay(history: History) -> Found:
    """A request that has ended does not change any more."""
    for before in history.earlier.values():
        after = history.ending.rows.get(before.id)
        if before.status in FINAL and before != after:
            yield before.id, f"it was {before} and is {after}"


def log_is_whole(history: History) -> Found:
    """Events are numbered 1 to n, the last one is final and is the only final one, and the row is where the log ends."""
    for row in history.ending.rows.values():
        log = history.ending.log[row.id]
        numbers = [fact.seq for fact in log]
        if numbers != list(range(1, len(log) + 1)):
            yield row.id, f"its events are numbered {numbers}"
        finals = [fact.type for fact in log if fact.status in FINAL]
        if len(finals) != (1 if row.status in FINAL else 0):
            yield row.id, f"its final events are {finals}"
        if not log or (log[-1].status, log[-1].seq) != (row.status, row.last_event):
            yield row.id, f"its row is {row.status} at event {row.last_event}, its log ends with {log[-1:]}"


def log_follows_the_table(history: History) -> Found:
    """Each event is an arrow of the state table that begins where the last one ended."""
    arrows = {
        (source, arrow.event.__name__, arrow.target)
        for arrow in TABLE.values()
        if arrow.event is not None
        for source in (arrow.sources or {None})
    }
    for request_id, log in history.ending.log.items():
        status: str | None = None
        for fact in log:
            if (status, fact.type, fact.status) not in arrows:
                yield request_id, f"after {status} came {fact.type}, to {fact.status}"
            status = fact.status


def no_two_leases(history: History) -> Found:
    """At most one extension holds a request at a time, and attempts are numbered 1, 2, 3 …"""
    for request_id, log in history.ending.log.items():
        held = holds(log)
        attempts = [hold.attempt for hold in held]
        if attempts != list(range(1, len(held) + 1)):
            yield request_id, f"its attempts are numbered {attempts}"
        for one, next_one in pairwise(held):
            if one.ended is None or one.ended > next_one.begun:
                yield request_id, f"{one.extension} and {next_one.extension} held it at once"


def ended_by_its_holder(history: History) -> Found:
    """What ends a hold names its holder and its attempt; what an extension says ends nothing that it does not hold."""
    for request_id, log in history.ending.log.items():
        for hold in holds(log):
            if hold.ended_by is None:
                continue
            named = hold.ended_by.data.get("extension_id"), hold.ended_by.data.get("attempt", hold.attempt)
            if named != (hold.extension, hold.attempt):
                yield request_id, f"{hold.extension} held attempt {hold.attempt}, ended by {hold.ended_by}"
        for before, fact in pairwise(log):
            ours = {DOWNLOAD_FAILED, TIMEOUT}
            if fact.type == FAILED and before.status == Status.DOWNLOADING and fact.data["code"] not in ours:
                yield request_id, f"while its pictures were fetched came {fact.data}"


def within_capacity(history: History) -> Found:
    """No extension holds more requests than it said it takes."""
    steps: dict[str, list[tuple[int, int, str]]] = defaultdict(list)
    for request_id, log in history.ending.log.items():
        for hold in holds(log):
            steps[hold.extension].append((hold.begun, 1, request_id))
            if hold.ended is not None:
                steps[hold.extension].append((hold.ended, -1, request_id))
    for extension, moments in steps.items():
        count = 0
        for at, step, request_id in sorted(moments):
            count += step
            if count > history.slots[extension]:
                yield request_id, f"{extension} held {count} requests at {at}, and takes {history.slots[extension]}"


def strikes_are_bounded(history: History) -> Found:
    """Nobody's request is tried for ever."""
    for row in history.ending.rows.values():
        if row.strikes >= history.max_attempts:
            yield row.id, f"it has {row.strikes} strikes; at {history.max_attempts} it should have failed"


def exactly_its_files(history: History) -> Found:
    """Completed requests have the pictures that were reported, whole and as their rows say; nobody else has any."""
    by_request: dict[str, list[int]] = defaultdict(list)
    for picture in history.ending.pictures:
        by_request[picture.request_id].append(picture.position)
        file = history.ending.files.get(picture.file)
        if file is None:
            yield picture.request_id, f"{picture.file} is not there"
        elif file.sha256 != picture.sha256:
            yield picture.request_id, f"{picture.file} is not what its row says"
        elif file.stamp is None:
            yield picture.request_id, f"{picture.file} is no picture of ours"
    for row in history.ending.rows.values():
        wanted = _reported_pictures(history.ending.log[row.id]) if row.status == Status.COMPLETED else 0
        if sorted(by_request.pop(row.id, [])) != list(range(wanted)):
            yield row.id, f"it is {row.status} and should have {wanted} pictures"
    known = {picture.file for picture in history.ending.pictures}
    for name in history.ending.files.keys() - known:
        yield None, f"{name} belongs to nobody"


def pictures_of_its_holder(history: History) -> Found:
    """A stored picture is the one that the holder made for this request, at its place, brought by the last fetch."""
    for picture in history.ending.pictures:
        row, log = history.ending.rows.get(picture.request_id), history.ending.log[picture.request_id]
        file = history.ending.files.get(picture.file)
        started = next((fact for fact in log if fact.type == STARTED), None)
        if row is None or file is None or file.stamp is None or started is None:
            continue
        stamp = file.stamp
        if (stamp.order, f"extension-{stamp.extension}") != (row.number, started.data["extension_id"]):
            yield row.id, f"reported by {started.data['extension_id']} for order {row.number}, its picture says {stamp}"
        if stamp.position != picture.position:
            yield row.id, f"picture {picture.position} says {stamp}"
        last = history.fetches.get((stamp.order, stamp.extension, stamp.offer, stamp.position), 0)
        if stamp.fetch != last and stamp.fetch:
            yield (
                row.id,
                f"{picture.file} was brought by fetch {stamp.fetch}, after which came {last}: its lease was over",
            )


def _reported_pictures(log: list[Fact]) -> int:
    return next((int(fact.data["images"]) for fact in log if fact.type == STARTED), 0)


CHECKS: tuple[Check, ...] = (
    one_final_state,
    final_rows_stay,
    log_is_whole,
    log_follows_the_table,
    no_two_leases,
    ended_by_its_holder,
    within_capacity,
    strikes_are_bounded,
    exactly_its_files,
    pictures_of_its_holder,
)


def violations(history: History, checks: Iterable[Check] = CHECKS) -> list[Violation]:
    """Everything that the checks find."""
    return [Violation(check.__name__, request_id, found) for check in checks for request_id, found in check(history)]
