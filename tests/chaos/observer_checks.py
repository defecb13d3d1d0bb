"""Checks what clients and extensions observed against what happened."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise

from app.domain.events import ImageGenerationRequeuedEvent
from app.domain.states import FINAL, Status
from app.services.sources import UploadMissing
from tests.chaos.checker import FAILED, STARTED, Check, Findings, Hold, holds, last_started
from tests.chaos.history import EventSeen, History, LoggedEvent, Reported, StatusSeen

REQUEUED = ImageGenerationRequeuedEvent.__name__
SLOP_S = 0.05  # tolerance between two clocks
COMMIT_S = 10.0  # from the time stored in a row to its commit, on a busy machine
UNAVAILABLE = "ERR_UNAVAILABLE"
LEASE_LOST = "ERR_LEASE_LOST"
FORGOTTEN = "The extension no longer works on the request."


def acknowledged_requests_are_kept(history: History) -> Findings:
    """A request that was answered with 200 was in the database at that moment, and still is at the end."""
    for each in history.records.acknowledged:
        if each.in_database is False:
            yield each.request_id, "it was acknowledged before it was in the database"
        if each.request_id not in history.final.rows:
            yield each.request_id, "it was acknowledged and is missing"


def submissions_are_accepted_once(history: History) -> Findings:
    """A submission with a key makes one request and always gets the same answer, however often it is sent."""
    made: dict[int, set[str]] = defaultdict(set)
    for row in history.final.rows.values():
        if row.retry_of is None:
            made[row.number].add(row.id)
    for each in history.records.acknowledged:
        made[each.client].add(each.request_id)
    for number, ids in made.items():
        if len(ids) > 1:
            yield min(ids), f"submission {number} made {len(ids)} requests: {sorted(ids)}"


def clients_see_no_regression(history: History) -> Findings:
    """Versions, final states, and progress within an attempt never go back for a client."""
    seen: dict[str, list[StatusSeen]] = defaultdict(list)
    for status in history.records.statuses:
        seen[status.request_id].append(status)
    for request_id, statuses in seen.items():
        log = history.final.log[request_id]
        for before, after in pairwise(statuses):
            if after.version < before.version:
                yield request_id, f"after {before} came {after}"
            if before.status in FINAL and after.status != before.status:
                yield request_id, f"it was final: after {before} came {after}"
            if after.progress < before.progress and not _was_requeued(log, before, after):
                yield request_id, f"its progress fell: after {before} came {after}"
        row = history.final.rows.get(request_id)
        if (
            statuses[-1].status in FINAL
            and row
            and (row.status, row.version) != (statuses[-1].status, statuses[-1].version)
        ):
            yield request_id, f"a client received {statuses[-1]}, but the final row is {row}"


def streams_are_in_order(history: History) -> Findings:
    """A stream delivers each event once, in order, from where it was resumed, as in the log, and not before its commit."""
    streams: dict[int, list[EventSeen]] = defaultdict(list)
    for event in history.records.events:
        streams[event.stream].append(event)
    for received in streams.values():
        request_id, after = received[0].request_id, received[0].after
        numbers = [event.seq for event in received]
        if numbers != list(range(after + 1, after + 1 + len(received))):
            yield request_id, f"a stream resumed after {after} delivered {numbers}"
        logged = {event.seq: event.type for event in history.final.log[request_id]}
        for event in received:
            if event.in_database is False:
                yield request_id, f"event {event.seq} was delivered before it was in the database"
            if logged.get(event.seq) != event.type:
                yield request_id, f"event {event.seq} was delivered as {event.type} and is {logged.get(event.seq)}"
    for ended in history.records.streams:
        if ended.last != len(history.final.log[ended.request_id]):
            yield ended.request_id, f"its stream ended with event {ended.last}"


def each_attempt_is_offered_once(history: History) -> Findings:
    """An extension is offered only attempts that the log assigns to it, not earlier, and each attempt only once."""
    offered: set[tuple[str, int]] = set()
    for offer in history.records.offered:
        held = _hold(history.final.log[offer.request_id], offer.attempt)
        if held is None or held.extension != offer.extension or held.begun > (offer.at + SLOP_S) * 1000:
            yield offer.request_id, f"{offer} was offered; the log has {held}"
        if (offer.request_id, offer.attempt) in offered:
            yield offer.request_id, f"{offer} was offered twice"
        offered.add((offer.request_id, offer.attempt))


def only_reports_of_holders_are_accepted(history: History) -> Findings:
    """An accepted report came from the holder; a report on another attempt is answered with an error."""
    for report in history.records.reported:
        if report.answered_at is None or report.refused == UNAVAILABLE:
            continue
        log = history.final.log[report.request_id]
        if report.refused is None and not _might_change(log, report):
            yield report.request_id, f"{report} was accepted; the holders were {_holders(log)}"
        if report.refused not in {None, LEASE_LOST}:
            yield report.request_id, f"rejected with an unexpected code: {report}"


def no_extension_loses_its_work(history: History) -> Findings:
    """A request is requeued as forgotten only if the extension no longer reports it.

    A literal extension never reports its work, so it may lose an unproven offer when it reconnects.
    """
    offered = {(o.extension, o.request_id, o.attempt): o for o in history.records.offered}
    left_out = {(g.extension, g.request_id, g.attempt): g.at for g in history.records.released}
    for request_id, log in history.final.log.items():
        for event in log:
            if event.type != REQUEUED or event.data["reason"] != FORGOTTEN:
                continue
            attempt = (event.data["extension_id"], request_id, event.data["attempt"])
            if attempt[0] in history.literal:
                continue
            offer, left_at = offered.get(attempt), left_out.get(attempt)
            took_it = left_at is None or int(left_at * 1000) > event.at  # the log has whole ms
            if offer and offer.at * 1000 < event.at and took_it:
                yield request_id, f"{offer} was in progress, but requeued at {event.at}; released at {left_at}"


def reports_of_holders_are_accepted(history: History) -> Findings:
    """A holder's result is not rejected on the connection on which the request was offered."""
    offered = {(o.request_id, o.attempt): o.connection for o in history.records.offered}
    for report in history.records.reported:
        if report.refused != LEASE_LOST or report.kind != "image_generated" or report.answered_at is None:
            continue
        hold = _hold(history.final.log[report.request_id], report.attempt)
        same = offered.get((report.request_id, report.attempt)) == report.connection
        if same and hold is not None and hold.extension == report.extension and _covers(hold, report):
            yield report.request_id, f"rejected although it held the request: {report}"


def result_of_its_attempt(history: History) -> Findings:
    """If an extension echoes leases, the stored picture was made in the attempt whose result was accepted."""
    attempts = {(offer.extension, offer.serial): offer.attempt for offer in history.records.offered}
    echoing = {report.extension for report in history.records.reported if report.lease}
    for picture in history.final.pictures:
        started = last_started(history.final.log[picture.request_id])
        file = history.final.files.get(picture.file)
        if started is None or file is None or file.stamp is None or started.data["extension_id"] not in echoing:
            continue
        made_in = attempts.get((started.data["extension_id"], file.stamp.offer))
        if made_in != started.data["attempt"]:
            yield (
                picture.request_id,
                f"attempt {started.data['attempt']} was accepted, but its picture is of attempt {made_in}",
            )


def uploads_are_kept(history: History) -> Findings:
    """A picture that was uploaded for an attempt is available when the result of that attempt is downloaded."""
    uploaded: dict[tuple[str, int], set[int]] = defaultdict(set)
    for upload in history.records.uploaded:
        uploaded[upload.request_id, upload.attempt].add(upload.position)
    for row in history.final.rows.values():
        started = last_started(history.final.log[row.id])
        if started is None or row.error != UploadMissing.__doc__:
            continue
        there = uploaded[row.id, started.data["attempt"]]
        if there == set(range(started.data["images"])):
            yield row.id, f"every picture of attempt {started.data['attempt']} was uploaded, but it failed: {row.error}"


def confirmed_is_stored(history: History) -> Findings:
    """If an extension received a confirmation, its pictures are stored."""
    for confirmed in history.records.confirmed:
        row = history.final.rows.get(confirmed.request_id)
        if row is None or row.status != Status.COMPLETED:
            yield confirmed.request_id, f"{confirmed.extension} received a confirmation, but it is {row and row.status}"


def _was_requeued(log: Iterable[LoggedEvent], before: StatusSeen, after: StatusSeen) -> bool:
    begin, end = (before.sent_at - COMMIT_S) * 1000, (after.at + SLOP_S) * 1000
    return any(event.type == REQUEUED and begin <= event.at <= end for event in log)


def _hold(log: Iterable[LoggedEvent], attempt: int) -> Hold | None:
    return next((hold for hold in holds(log) if hold.attempt == attempt), None)


def _holders(log: Iterable[LoggedEvent]) -> Sequence[tuple[str, int, int, int | None]]:
    return [(hold.extension, hold.attempt, hold.begun, hold.ended) for hold in holds(log)]


def _might_change(log: Sequence[LoggedEvent], report: Reported) -> bool:
    """True if the sender held the request at that time, or repeats a result that was accepted already."""
    mine = [hold for hold in holds(log) if hold.extension == report.extension]
    if report.kind == "image_generated":  # repeating a result is no error, even one of an earlier attempt
        return any(hold.ended_by and hold.ended_by.type == STARTED for hold in mine)
    if report.lease:
        mine = [hold for hold in mine if hold.attempt == report.attempt]
    if report.kind == "image_generation_failed":
        return any(hold.ended_by and hold.ended_by.type in {REQUEUED, FAILED} for hold in mine)
    sent, answered = (report.sent_at - SLOP_S) * 1000, ((report.answered_at or report.sent_at) + SLOP_S) * 1000
    return any(hold.begun <= answered and (hold.ended is None or hold.ended >= sent) for hold in mine)


def _covers(hold: Hold, report: Reported) -> bool:
    begun_before = hold.begun < (report.sent_at - SLOP_S) * 1000
    ends_after = hold.ended is None or hold.ended > ((report.answered_at or 0) + SLOP_S) * 1000
    return begun_before and ends_after


OBSERVER_CHECKS: tuple[Check, ...] = (
    acknowledged_requests_are_kept,
    submissions_are_accepted_once,
    clients_see_no_regression,
    streams_are_in_order,
    each_attempt_is_offered_once,
    only_reports_of_holders_are_accepted,
    no_extension_loses_its_work,
    reports_of_holders_are_accepted,
    result_of_its_attempt,
    uploads_are_kept,
    confirmed_is_stored,
)
