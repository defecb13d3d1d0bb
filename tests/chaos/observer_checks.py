"""What clients and extensions were told, held against what happened."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise

from app.domain.events import ImageGenerationRequeuedEvent
from app.domain.states import FINAL, Status
from app.services.sources import UploadMissing
from tests.chaos.checker import FAILED, STARTED, Check, Findings, Hold, holds
from tests.chaos.history import EventSeen, History, LoggedEvent, Reported, StatusSeen

REQUEUED = ImageGenerationRequeuedEvent.__name__
SLOP_S = 0.05  # between two clocks' readings of one moment
COMMIT_S = 10.0  # from the moment that a row notes to the commit that makes it true, on a machine that has much to do
UNAVAILABLE = "ERR_UNAVAILABLE"
LEASE_LOST = "ERR_LEASE_LOST"
FORGOTTEN = "The extension no longer works on the request."


def nothing_acknowledged_is_forgotten(history: History) -> Findings:
    """A request that was answered with 200 was in the database then, and is there in the end."""
    for each in history.records.acknowledged:
        if each.in_database is False:
            yield each.request_id, "it was acknowledged before it was in the database"
        if each.request_id not in history.final.rows:
            yield each.request_id, "it was acknowledged and is not there"


def clients_see_no_way_back(history: History) -> Findings:
    """What a client is told never goes back: versions, final states, and progress within an attempt."""
    seen: dict[str, list[StatusSeen]] = defaultdict(list)
    for status in history.records.statuses:
        seen[status.request_id].append(status)
    for request_id, told in seen.items():
        log = history.final.log[request_id]
        for before, after in pairwise(told):
            if after.version < before.version:
                yield request_id, f"after {before} came {after}"
            if before.status in FINAL and after.status != before.status:
                yield request_id, f"it was final: after {before} came {after}"
            if after.progress < before.progress and not _given_back(log, before, after):
                yield request_id, f"its progress fell: after {before} came {after}"
        row = history.final.rows.get(request_id)
        if told[-1].status in FINAL and row and (row.status, row.version) != (told[-1].status, told[-1].version):
            yield request_id, f"a client was told {told[-1]}, in the end it is {row}"


def streams_are_in_order(history: History) -> Findings:
    """Streams bring each event once, in order, from where they were taken up, as it is in the log, and not before."""
    streams: dict[int, list[EventSeen]] = defaultdict(list)
    for event in history.records.events:
        streams[event.stream].append(event)
    for told in streams.values():
        request_id, after = told[0].request_id, told[0].after
        numbers = [event.seq for event in told]
        if numbers != list(range(after + 1, after + 1 + len(told))):
            yield request_id, f"a stream that was to go on after {after} brought {numbers}"
        logged = {event.seq: event.type for event in history.final.log[request_id]}
        for event in told:
            if event.in_database is False:
                yield request_id, f"event {event.seq} was told before it was in the database"
            if logged.get(event.seq) != event.type:
                yield request_id, f"event {event.seq} was told as {event.type} and is {logged.get(event.seq)}"
    for ended in history.records.streams:
        if ended.last != len(history.final.log[ended.request_id]):
            yield ended.request_id, f"its stream ended with event {ended.last}"


def each_attempt_is_handed_out_once(history: History) -> Findings:
    """An extension is given only what the log says is its own, not before, and nobody is given the same attempt."""
    given: set[tuple[str, int]] = set()
    for offer in history.records.offered:
        held = _hold(history.final.log[offer.request_id], offer.attempt)
        if held is None or held.extension != offer.extension or held.begun > (offer.at + SLOP_S) * 1000:
            yield offer.request_id, f"{offer} was given out; the log has {held}"
        if (offer.request_id, offer.attempt) in given:
            yield offer.request_id, f"{offer} was given out twice"
        given.add((offer.request_id, offer.attempt))


def only_holders_are_heard(history: History) -> Findings:
    """A report that was heard and not refused came from the holder; one of another attempt is answered with an error."""
    for report in history.records.reported:
        if report.answered_at is None or report.refused == UNAVAILABLE:
            continue
        log = history.final.log[report.request_id]
        if report.refused is None and not _might_change(log, report):
            yield report.request_id, f"nobody refused {report}; who held it: {_holders(log)}"
        if report.refused not in {None, LEASE_LOST}:
            yield report.request_id, f"refused with another word: {report}"


def nobody_loses_what_it_works_on(history: History) -> Findings:
    """A request is taken from an extension as forgotten only where the extension has left it out.

    One that never says what it works on loses, when it connects again, what it was not known to have received.
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
            took_it = left_at is None or int(left_at * 1000) > event.at  # the log has whole ms, and may be as fast
            if offer and offer.at * 1000 < event.at and took_it:
                yield request_id, f"{offer} was worked on; at {event.at} it was taken away, let go at {left_at}"


def holders_are_heard(history: History) -> Findings:
    """A holder's result is not refused on the connection on which it was given the request."""
    given = {(o.request_id, o.attempt): o.connection for o in history.records.offered}
    for report in history.records.reported:
        if report.refused != LEASE_LOST or report.kind != "image_generated" or report.answered_at is None:
            continue
        hold = _hold(history.final.log[report.request_id], report.attempt)
        same = given.get((report.request_id, report.attempt)) == report.connection
        if same and hold is not None and hold.extension == report.extension and _covers(hold, report):
            yield report.request_id, f"refused though it was held: {report}"


def result_of_its_attempt(history: History) -> Findings:
    """Where an extension names leases, the picture that is stored was made under the lease that was taken."""
    attempts = {(offer.extension, offer.serial): offer.attempt for offer in history.records.offered}
    naming = {report.extension for report in history.records.reported if report.lease}
    for picture in history.final.pictures:
        started = next((f for f in history.final.log[picture.request_id] if f.type == STARTED), None)
        file = history.final.files.get(picture.file)
        if started is None or file is None or file.stamp is None or started.data["extension_id"] not in naming:
            continue
        made_in = attempts.get((started.data["extension_id"], file.stamp.offer))
        if made_in != started.data["attempt"]:
            yield (
                picture.request_id,
                f"attempt {started.data['attempt']} was taken, its picture is of attempt {made_in}",
            )


def uploads_are_kept(history: History) -> Findings:
    """A picture that was handed over for an attempt is there when that attempt's result is fetched."""
    uploaded: dict[tuple[str, int], set[int]] = defaultdict(set)
    for upload in history.records.uploaded:
        uploaded[upload.request_id, upload.attempt].add(upload.position)
    for row in history.final.rows.values():
        started = next((event for event in history.final.log[row.id] if event.type == STARTED), None)
        if started is None or row.error != UploadMissing.__doc__:
            continue
        there = uploaded[row.id, started.data["attempt"]]
        if there == set(range(started.data["images"])):
            yield row.id, f"every picture of attempt {started.data['attempt']} was handed over; it failed: {row.error}"


def confirmed_is_stored(history: History) -> Findings:
    """Who was told that its pictures are stored was told the truth."""
    for told in history.records.confirmed:
        row = history.final.rows.get(told.request_id)
        if row is None or row.status != Status.COMPLETED:
            yield told.request_id, f"{told.extension} was told that it is stored; it is {row and row.status}"


def _given_back(log: Iterable[LoggedEvent], before: StatusSeen, after: StatusSeen) -> bool:
    begin, end = (before.sent_at - COMMIT_S) * 1000, (after.at + SLOP_S) * 1000
    return any(event.type == REQUEUED and begin <= event.at <= end for event in log)


def _hold(log: Iterable[LoggedEvent], attempt: int) -> Hold | None:
    return next((hold for hold in holds(log) if hold.attempt == attempt), None)


def _holders(log: Iterable[LoggedEvent]) -> Sequence[tuple[str, int, int, int | None]]:
    return [(hold.extension, hold.attempt, hold.begun, hold.ended) for hold in holds(log)]


def _might_change(log: Sequence[LoggedEvent], report: Reported) -> bool:
    """True where the report is of somebody who held the request then, or says again what was taken already."""
    mine = [hold for hold in holds(log) if hold.extension == report.extension]
    if report.kind == "image_generated":  # told twice is no error, also where it is told of an earlier attempt
        return any(hold.ended_by and hold.ended_by.type == STARTED for hold in mine)
    if report.lease:
        mine = [hold for hold in mine if hold.attempt == report.attempt]
    if report.kind == "image_generation_failed":
        return any(hold.ended_by and hold.ended_by.type in {REQUEUED, FAILED} for hold in mine)
    sent, heard = (report.sent_at - SLOP_S) * 1000, ((report.answered_at or report.sent_at) + SLOP_S) * 1000
    return any(hold.begun <= heard and (hold.ended is None or hold.ended >= sent) for hold in mine)


def _covers(hold: Hold, report: Reported) -> bool:
    begun_before = hold.begun < (report.sent_at - SLOP_S) * 1000
    ends_after = hold.ended is None or hold.ended > ((report.answered_at or 0) + SLOP_S) * 1000
    return begun_before and ends_after


OBSERVER_CHECKS: tuple[Check, ...] = (
    nothing_acknowledged_is_forgotten,
    clients_see_no_way_back,
    streams_are_in_order,
    each_attempt_is_handed_out_once,
    only_holders_are_heard,
    nobody_loses_what_it_works_on,
    holders_are_heard,
    result_of_its_attempt,
    uploads_are_kept,
    confirmed_is_stored,
)
