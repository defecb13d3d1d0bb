"""The checker finds each kind of violation, and finds nothing in a history without violations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.chaos.checker import CHECKS, violations
from tests.chaos.history import Confirmed, FileSeen, History, Offered, Released, StreamEnded
from tests.chaos.observer_checks import FORGOTTEN, OBSERVER_CHECKS
from tests.chaos.pictures import Stamp
from tests.chaos.sample_history import FILE, FIRST, ID, SECOND, event, log, reported, row, sample, seen, status

Break = Callable[[History], object]
EVERY = (*CHECKS, *OBSERVER_CHECKS)


def change_log(history: History, seq: int, **values: object) -> None:
    events = history.final.log[ID]
    events[seq - 1] = replace(events[seq - 1], **values)  # type: ignore[arg-type]


def change_data(history: History, seq: int, **data: object) -> None:
    change_log(history, seq, data={**history.final.log[ID][seq - 1].data, **data})


def end(history: History, **values: object) -> None:
    history.final.rows[ID] = history.earlier[ID] = row(**values)


def stay_open(history: History) -> None:
    del history.final.log[ID][5:]
    end(history, status="downloading", last_event=5)


def end_twice(history: History) -> None:
    history.final.log[ID].append(event(7, "ImageGenerationFailedEvent", "failed", 9_000, code="ERR_TIMEOUT"))
    end(history, last_event=7, status="failed")


def hold_twice(history: History) -> None:
    change_log(history, 3, type="ImageGenerationAssignedEvent", status="processing")


def hold_too_many(history: History) -> None:
    history.final.log["other"] = [
        replace(each, at=each.at + 500, data={**each.data, "extension_id": FIRST, "attempt": 1}) for each in log()[:2]
    ]


def fail_with_a_file(history: History) -> None:
    failed = event(6, "ImageGenerationFailedEvent", "failed", 8_000, code="ERR_DOWNLOAD_FAILED")
    history.final.log[ID][5] = failed
    end(history, status="failed", error_code="ERR_DOWNLOAD_FAILED")


def fail_by_a_late_report(history: History) -> None:
    failed = event(6, "ImageGenerationFailedEvent", "failed", 8_000, code="ERR_GENERATION_FAILED")
    history.final.log[ID][5] = failed
    end(history, status="failed", error_code="ERR_GENERATION_FAILED")


def lose_an_upload(history: History) -> None:
    fail_with_a_file(history)
    error = "The upload that the extension reported as its picture is missing or incomplete."
    end(history, status="failed", error_code="ERR_DOWNLOAD_FAILED", error=error)


def offer_again(history: History) -> None:
    history.records.offered.append(Offered(5.2, SECOND, 0, ID, 2, 3))


def take_away(history: History) -> None:
    change_data(history, 3, reason=FORGOTTEN)


def reject_a_holder(history: History) -> None:
    history.records.reported.append(reported(SECOND, 5.5, "image_generated", 2, refused="ERR_LEASE_LOST"))


def lose_progress(history: History) -> None:
    history.records.statuses.insert(2, status(2.6, "processing", 20, 3))
    del history.final.log[ID][2]


def store_another(history: History, stamp: Stamp) -> None:
    history.final.files[FILE] = FileSeen("sha", stamp)


BROKEN: list[tuple[str, Break]] = [
    ("one_final_state", stay_open),
    ("final_rows_stay", lambda h: h.final.rows.update({ID: row(version=12)})),
    ("log_is_whole", lambda h: h.final.log[ID].pop(2)),
    ("log_is_whole", end_twice),
    ("log_is_whole", lambda h: end(h, status="failed")),
    ("log_follows_the_table", lambda h: change_log(h, 4, status="completed")),
    ("no_two_leases", hold_twice),
    ("no_two_leases", lambda h: change_log(h, 4, at=3_000)),
    ("no_two_leases", lambda h: change_data(h, 4, attempt=3)),
    ("ended_by_its_holder", lambda h: change_data(h, 5, extension_id=FIRST)),
    ("ended_by_its_holder", lambda h: change_data(h, 5, attempt=1)),
    ("ended_by_its_holder", fail_by_a_late_report),
    ("within_capacity", hold_too_many),
    ("strikes_are_bounded", lambda h: end(h, strikes=4)),
    ("exactly_its_files", lambda h: h.final.files.clear()),
    ("exactly_its_files", lambda h: h.final.files.update({FILE: FileSeen("other", Stamp(9, 2, 2, 0, 1))})),
    ("exactly_its_files", lambda h: h.final.files.update({FILE: FileSeen("sha", None)})),
    ("exactly_its_files", lambda h: h.final.files.update({"orphan.png": FileSeen("sha", None)})),
    ("exactly_its_files", lambda h: h.final.pictures.clear()),
    ("exactly_its_files", fail_with_a_file),
    ("pictures_of_its_holder", lambda h: store_another(h, Stamp(8, 2, 2, 0, 1))),
    ("pictures_of_its_holder", lambda h: store_another(h, Stamp(9, 1, 1, 0, 1))),
    ("pictures_of_its_holder", lambda h: store_another(h, Stamp(9, 2, 2, 1, 0))),
    ("pictures_of_its_holder", lambda h: h.fetches.update({(9, 2, 2, 0): 2})),
    ("acknowledged_requests_are_kept", lambda h: h.final.rows.clear()),
    (
        "acknowledged_requests_are_kept",
        lambda h: h.records.acknowledged.append(replace(h.records.acknowledged[0], in_database=False)),
    ),
    ("submissions_are_accepted_once", lambda h: h.final.rows.update({"request-2": row(id="request-2")})),
    (
        "submissions_are_accepted_once",
        lambda h: h.records.acknowledged.append(replace(h.records.acknowledged[0], request_id="request-2")),
    ),
    ("clients_see_no_regression", lambda h: h.records.statuses.append(status(9.5, "processing", 100, 12))),
    ("clients_see_no_regression", lambda h: h.records.statuses.append(status(9.5, "completed", 100, 10))),
    ("clients_see_no_regression", lose_progress),
    ("clients_see_no_regression", lambda h: end(h, version=12)),
    ("streams_are_in_order", lambda h: h.records.events.pop(1)),
    ("streams_are_in_order", lambda h: h.records.events.append(seen(3, 5, 2))),
    ("streams_are_in_order", lambda h: h.records.events.append(replace(seen(3, 1, 0), in_database=False))),
    ("streams_are_in_order", lambda h: h.records.events.append(replace(seen(3, 1, 0), type="Another"))),
    ("streams_are_in_order", lambda h: h.records.streams.append(StreamEnded(9, ID, 5))),
    ("each_attempt_is_offered_once", offer_again),
    ("each_attempt_is_offered_once", lambda h: h.records.offered.append(Offered(1.5, FIRST, 0, ID, 7, 3))),
    (
        "only_reports_of_holders_are_accepted",
        lambda h: h.records.reported.append(reported(FIRST, 5.5, "image_generated", 1)),
    ),
    (
        "only_reports_of_holders_are_accepted",
        lambda h: h.records.reported.append(reported(SECOND, 7.5, "image_generation_failed", 2)),
    ),
    (
        "only_reports_of_holders_are_accepted",
        lambda h: h.records.reported.append(reported(FIRST, 5.5, "image_generation_progress", 1, lease=False)),
    ),
    (
        "only_reports_of_holders_are_accepted",
        lambda h: h.records.reported.append(reported(FIRST, 5.5, "x", 1, refused="ERR_X")),
    ),
    ("no_extension_loses_its_work", take_away),
    ("reports_of_holders_are_accepted", reject_a_holder),
    ("result_of_its_attempt", lambda h: store_another(h, Stamp(9, 2, 1, 0, 0))),
    ("uploads_are_kept", lose_an_upload),
    ("confirmed_is_stored", lambda h: h.records.confirmed.append(Confirmed(8.1, SECOND, "other"))),
]


def test_a_history_without_violations_passes() -> None:
    assert violations(sample(), EVERY) == []


@pytest.mark.parametrize(("promise", "broken"), BROKEN, ids=[f"{n}-{promise}" for n, (promise, _) in enumerate(BROKEN)])
def test_a_violation_is_found(promise: str, broken: Break) -> None:
    history = sample()
    broken(history)
    assert promise in {violation.promise for violation in violations(history, EVERY)}


def test_every_check_has_a_violation() -> None:
    assert {check.__name__ for check in EVERY} == {promise for promise, _ in BROKEN}


def test_an_unanswered_report_proves_nothing() -> None:
    history = sample()
    history.records.reported.append(reported(FIRST, 5.5, "image_generated", 1, answered_at=None))
    assert violations(history, EVERY) == []


def test_an_extension_that_does_not_report_its_work_may_lose_an_offer_when_it_reconnects() -> None:
    history = sample()
    take_away(history)
    history.literal = frozenset({FIRST})
    assert violations(history, EVERY) == []


def test_a_released_request_may_be_requeued_within_the_same_ms() -> None:
    history = sample()
    take_away(history)
    at_s = history.final.log[ID][2].at / 1000
    history.records.released[:] = [Released(at_s + 0.0009, FIRST, ID, 1)]
    assert violations(history, EVERY) == []


def test_progress_may_fall_if_the_request_was_requeued_in_between() -> None:
    history = sample()
    history.records.statuses.insert(2, status(3.9, "processing", 60, 3))
    history.records.statuses.insert(3, status(5.2, "processing", 10, 5))
    del history.records.statuses[4]
    assert violations(history, EVERY) == []
