"""The fleet as operators see it."""

from __future__ import annotations

from app.db import fleet
from app.db.extension_list import ExtensionDetails
from app.domain.policy import ExtensionStatus
from tests.support.harness import Harness
from tests.support.statements import recorded_statements


def shown(harness: Harness, extension_id: str = "e1") -> ExtensionDetails:
    [entry] = [each for each in harness.services.fleet.all() if each.id == extension_id]
    return entry


def test_an_extension_is_shown_with_the_requests_it_holds(harness: Harness) -> None:
    before = harness.now()
    harness.connect("e1", "dall-e-3", "flux", max_concurrent=3)
    jobs = [harness.submit_and_start(), harness.submit_and_assign()]
    entry = shown(harness)
    assert (entry.connected, entry.standing, entry.hub_id) == (True, ExtensionStatus.FREE, "hub-1")
    assert (entry.capabilities, entry.available, entry.max_concurrent) == (("dall-e-3", "flux"), True, 3)
    assert (entry.held, sorted(entry.job_ids)) == (2, sorted(job.id for job in jobs))
    assert before <= entry.since <= entry.heard_at <= harness.now()
    assert (entry.failures, entry.pause, entry.last_success_at) == (0, None, None)
    harness.submit_and_start()
    assert shown(harness).standing is ExtensionStatus.BUSY


def test_a_reported_request_is_no_longer_held(harness: Harness) -> None:
    holder, job = harness.connect_and_start()
    harness.report_image(holder, job)
    entry = shown(harness)
    assert (entry.held, entry.job_ids, entry.standing) == (0, (), ExtensionStatus.FREE)


def test_a_paused_extension_shows_the_reason_and_the_end_of_its_pause(harness: Harness) -> None:
    holder, job = harness.connect_and_start()
    harness.report_failure(holder, job, "Too many requests", retry_after_ms=60_000)
    entry = shown(harness)
    assert entry.standing is ExtensionStatus.PAUSED
    assert entry.failures == 1
    assert entry.pause is not None
    assert entry.pause.until > harness.now()
    assert entry.pause.reason == "The site that it uses limits its requests (ERR_RATE_LIMIT)."
    harness.update_extension(cooldown_until=1)
    assert (shown(harness).pause, shown(harness).standing) == (None, ExtensionStatus.FREE)


def test_after_a_failure_an_extension_is_busy_with_one_job_until_it_succeeds(harness: Harness) -> None:
    harness.connect(max_concurrent=3)
    harness.submit_and_start()
    assert shown(harness).standing is ExtensionStatus.FREE
    harness.update_extension(failures=1)
    assert shown(harness).standing is ExtensionStatus.BUSY


def test_an_extension_that_takes_no_work_is_unavailable(harness: Harness) -> None:
    harness.heartbeat(harness.connect(), available=False)
    assert (shown(harness).standing, shown(harness).available) == (ExtensionStatus.UNAVAILABLE, False)


def test_a_disconnected_extension_shows_since_when(harness: Harness) -> None:
    holder = harness.connect()
    harness.services.extensions.disconnected(holder.connection_id)
    entry = shown(harness)
    assert (entry.connected, entry.standing, entry.hub_id) == (False, ExtensionStatus.AWAY, None)
    assert entry.since == harness.extension_row().disconnected_at


def test_an_extension_of_a_silent_web_process_is_shown_as_disconnected_before_the_sweep(harness: Harness) -> None:
    harness.connect()
    harness.expire_hub()
    assert harness.extension_row().connected
    assert shown(harness).standing is ExtensionStatus.AWAY
    assert list(harness.services.fleet.all(connected=True)) == []
    assert [each.id for each in harness.services.fleet.all(connected=False)] == ["e1"]


def test_extensions_are_listed_in_order_page_by_page(harness: Harness) -> None:
    for name in ("d", "a", "e", "c", "b"):
        harness.connect(name)
    harness.services.extensions.disconnected("c-socket-1")
    seen, cursor = [], None
    for names in (["a", "b"], ["c", "d"], ["e"]):
        page = harness.services.fleet.page(None, cursor, 2)
        assert [each.id for each in page.extensions] == names
        seen += names
        cursor = page.cursor
    assert cursor is None
    assert [each.id for each in harness.services.fleet.page(True, "a", 9).extensions] == ["b", "d", "e"]
    assert [each.id for each in harness.services.fleet.all(connected=False)] == ["c"]


def test_a_page_reads_all_held_jobs_in_one_query(harness: Harness) -> None:
    for n in range(3):
        harness.connect_and_start(f"e{n}")
    with recorded_statements("FROM jobs") as queries:
        assert [len(each.job_ids) for each in harness.services.fleet.all()] == [1, 1, 1]
    assert len(queries) == 1


def test_the_time_for_which_an_extension_is_connected_adds_up_over_its_connections(harness: Harness) -> None:
    """Ended by itself, replaced by another connection, and lost with its web process."""
    first = harness.connect()
    since = harness.extension_row().observed_since
    harness.update_extension(connected_at=harness.now() - 10_000)
    harness.services.extensions.disconnected(first.connection_id)
    assert 10_000 <= harness.extension_row().connected_ms < 70_000
    harness.connect(number=2)
    harness.update_extension(connected_ms=0, connected_at=harness.now() - 20_000)
    harness.connect(number=3, hub="hub-2")
    assert 20_000 <= harness.extension_row().connected_ms < 80_000
    harness.update_extension(connected_ms=0, connected_at=harness.now() - 30_000)
    harness.bench.database.write(lambda tx: fleet.forget_hub(tx, "hub-2"))
    assert 30_000 <= harness.extension_row().connected_ms < 90_000
    assert harness.extension_row().observed_since == since
