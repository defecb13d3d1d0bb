"""Checks the history of a run against the guarantees. Each check is a function from a history to its violations."""

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
from tests.chaos.history import History, LoggedEvent

ASSIGNED = ImageGenerationAssignedEvent.__name__
STARTED = ImageDownloadStartedEvent.__name__
FAILED = ImageGenerationFailedEvent.__name__


@dataclass(frozen=True, slots=True)
class Violation:
    """A guarantee that was not kept."""

    promise: str
    request_id: str | None
    found: str

    def __str__(self) -> str:
        return f"{self.promise}: {self.request_id or '-'}: {self.found}"


Findings = Iterator[tuple[str | None, str]]
Check = Callable[[History], Findings]


@dataclass(frozen=True, slots=True)
class Hold:
    """An extension held a request from `begun` to `ended` (ms), which is None if it still does. `ended_by` ended the hold."""

    extension: str
    attempt: int
    begun: int
    ended: int | None
    ended_by: LoggedEvent | None


def holds(log: Iterable[LoggedEvent]) -> list[Hold]:
    """Which extensions held the request when, according to its event log."""
    found: list[Hold] = []
    held: LoggedEvent | None = None
    for event in log:
        if held is not None and event.status != Status.PROCESSING:
            found.append(Hold(held.data["extension_id"], held.data["attempt"], held.at, event.at, event))
            held = None
        if event.type == ASSIGNED:
            if held is not None:  # two at once: reported as two overlapping holds
                found.append(Hold(held.data["extension_id"], held.data["attempt"], held.at, None, None))
            held = event
    if held is not None:
        found.append(Hold(held.data["extension_id"], held.data["attempt"], held.at, None, None))
    return found


def one_final_state(history: History) -> Findings:
    """Every request ends, in exactly one way."""
    for row in history.final.rows.values():
        if row.status not in FINAL:
            yield row.id, f"it is still {row.status} (attempt {row.attempt}, holder {row.holder})"


def final_rows_stay(history: History) -> Findings:
    """A request that has ended does not change again."""
    for before in history.earlier.values():
        after = history.final.rows.get(before.id)
        if before.status in FINAL and before != after:
            yield before.id, f"it was {before} and is {after}"


def log_is_whole(history: History) -> Findings:
    """Events are numbered 1 to n, only the last one is final, and the row agrees with the last event."""
    for row in history.final.rows.values():
        log = history.final.log[row.id]
        numbers = [event.seq for event in log]
        if numbers != list(range(1, len(log) + 1)):
            yield row.id, f"its events are numbered {numbers}"
        finals = [event.type for event in log if event.status in FINAL]
        if len(finals) != (1 if row.status in FINAL else 0):
            yield row.id, f"its final events are {finals}"
        if not log or (log[-1].status, log[-1].seq) != (row.status, row.last_event):
            yield row.id, f"its row is {row.status} at event {row.last_event}, its log ends with {log[-1:]}"


def log_follows_the_table(history: History) -> Findings:
    """Each event is a transition of the state table that starts at the status of the previous event."""
    arrows = {
        (source, arrow.event.__name__, arrow.target)
        for arrow in TABLE.values()
        if arrow.event is not None
        for source in (arrow.sources or {None})
    }
    for request_id, log in history.final.log.items():
        status: str | None = None
        for event in log:
            if (status, event.type, event.status) not in arrows:
                yield request_id, f"after {status} came {event.type}, to {event.status}"
            status = event.status


def no_two_leases(history: History) -> Findings:
    """At most one extension holds a request at a time, and attempts are numbered 1, 2, 3 …"""
    for request_id, log in history.final.log.items():
        held = holds(log)
        attempts = [hold.attempt for hold in held]
        if attempts != list(range(1, len(held) + 1)):
            yield request_id, f"its attempts are numbered {attempts}"
        for one, next_one in pairwise(held):
            if one.ended is None or one.ended > next_one.begun:
                yield request_id, f"{one.extension} and {next_one.extension} held it at once"


def ended_by_its_holder(history: History) -> Findings:
    """The event that ends a hold has its holder and its attempt; no extension ends a hold of another."""
    for request_id, log in history.final.log.items():
        for hold in holds(log):
            if hold.ended_by is None:
                continue
            named = hold.ended_by.data.get("extension_id"), hold.ended_by.data.get("attempt", hold.attempt)
            if named != (hold.extension, hold.attempt):
                yield request_id, f"{hold.extension} held attempt {hold.attempt}, ended by {hold.ended_by}"
        for before, event in pairwise(log):
            ours = {DOWNLOAD_FAILED, TIMEOUT}
            if event.type == FAILED and before.status == Status.DOWNLOADING and event.data["code"] not in ours:
                yield request_id, f"while its pictures were being downloaded, it got {event.data}"


def within_capacity(history: History) -> Findings:
    """No extension holds more requests than its maximum."""
    steps: dict[str, list[tuple[int, int, str]]] = defaultdict(list)
    for request_id, log in history.final.log.items():
        for hold in holds(log):
            steps[hold.extension].append((hold.begun, 1, request_id))
            if hold.ended is not None:
                steps[hold.extension].append((hold.ended, -1, request_id))
    for extension, moments in steps.items():
        count = 0
        for at, step, request_id in sorted(moments):
            count += step
            if count > history.slots[extension]:
                yield request_id, f"{extension} held {count} requests at {at}, but at most {history.slots[extension]}"


def strikes_are_bounded(history: History) -> Findings:
    """No request is retried forever."""
    for row in history.final.rows.values():
        if row.strikes >= history.max_attempts:
            yield row.id, f"it has {row.strikes} strikes; it should have failed at {history.max_attempts}"


def exactly_its_files(history: History) -> Findings:
    """Completed requests have exactly the reported pictures, intact and matching their rows; other requests have none."""
    by_request: dict[str, list[int]] = defaultdict(list)
    for picture in history.final.pictures:
        by_request[picture.request_id].append(picture.position)
        file = history.final.files.get(picture.file)
        if file is None:
            yield picture.request_id, f"{picture.file} is missing"
        elif file.sha256 != picture.sha256:
            yield picture.request_id, f"{picture.file} does not match its row"
        elif file.stamp is None:
            yield picture.request_id, f"{picture.file} is not a picture of this run"
    for row in history.final.rows.values():
        wanted = _reported_pictures(history.final.log[row.id]) if row.status == Status.COMPLETED else 0
        if sorted(by_request.pop(row.id, [])) != list(range(wanted)):
            yield row.id, f"it is {row.status} and should have {wanted} pictures"
    known = {picture.file for picture in history.final.pictures}
    for name in history.final.files.keys() - known:
        yield None, f"{name} belongs to no request"


def pictures_of_its_holder(history: History) -> Findings:
    """A stored picture is the one that the holder made for this request and position, from the last download."""
    for picture in history.final.pictures:
        row, log = history.final.rows.get(picture.request_id), history.final.log[picture.request_id]
        file = history.final.files.get(picture.file)
        started = last_started(log)
        if row is None or file is None or file.stamp is None or started is None:
            continue
        stamp = file.stamp
        if (stamp.number, f"extension-{stamp.extension}") != (row.number, started.data["extension_id"]):
            yield (
                row.id,
                f"reported by {started.data['extension_id']} for request {row.number}, but its picture has {stamp}",
            )
        if stamp.position != picture.position:
            yield row.id, f"picture {picture.position} has {stamp}"
        last = history.fetches.get((stamp.number, stamp.extension, stamp.offer, stamp.position), 0)
        if stamp.fetch != last and stamp.fetch:
            yield (
                row.id,
                f"{picture.file} is from download {stamp.fetch}, but {last} was the last one: its lease had expired",
            )


def last_started(log: list[LoggedEvent]) -> LoggedEvent | None:
    """The result that was stored, if one was: earlier ones could not be stored, and other extensions got the request."""
    return next((event for event in reversed(log) if event.type == STARTED), None)


def _reported_pictures(log: list[LoggedEvent]) -> int:
    started = last_started(log)
    return int(started.data["images"]) if started else 0


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
    """All violations that the checks find."""
    return [Violation(check.__name__, request_id, found) for check in checks for request_id, found in check(history)]
