"""Reports on outages are derived from the event log."""

from __future__ import annotations

import pytest

from tests.chaos.history import History, LoggedEvent, Moment
from tests.chaos.sample_history import event
from tests.hosts.outages import Outage, connected_to, outage_report, reconnected_s, slowest_s

WEB_A, WEB_B = "ws://198.18.0.2:3000/ws", "ws://198.18.0.3:3000/ws"


def request(submitted_at: int, extension: str, assigned_at: int, ended_at: int) -> list[LoggedEvent]:
    """The log of a request that one extension processed; times in ms."""
    return [
        event(1, "ImageGenerationRequestedEvent", "accepted", submitted_at),
        event(2, "ImageGenerationAssignedEvent", "processing", assigned_at, extension_id=extension, attempt=1),
        event(
            3, "ImageDownloadStartedEvent", "downloading", ended_at - 100, extension_id=extension, attempt=1, images=1
        ),
        event(4, "ImageGeneratedEvent", "completed", ended_at),
    ]


def history(*logs: list[LoggedEvent]) -> History:
    made = History({}, 4)
    made.final.log.update({f"request-{n}": log for n, log in enumerate(logs)})
    return made


def outage(at: float, ended: float, *extensions: str) -> Outage:
    return Outage("web-a", at, ended, 1.0, frozenset(extensions))


def test_open_requests_were_submitted_and_had_not_ended() -> None:
    over = request(1_000, "e1", 1_100, 5_000)
    under_way = request(8_000, "e1", 8_100, 14_000)
    not_yet = request(11_000, "e1", 11_100, 12_000)
    found = outage_report(outage(10.0, 20.0), history(over, under_way, not_yet))
    assert (found.open, found.ended_s) == (1, 4.0)


def test_requests_held_by_its_extensions_are_counted() -> None:
    theirs = request(8_000, "e1", 8_100, 14_000)
    others = request(8_000, "e2", 8_100, 14_000)
    waiting = request(8_000, "e1", 11_000, 14_000)
    assert outage_report(outage(10.0, 20.0, "e1"), history(theirs, others, waiting)).held == 1


def test_the_longest_pause_includes_both_ends_of_the_outage() -> None:
    endings = [request(1_000, "e1", 1_100, at) for at in (11_000, 12_000, 15_000)]
    assert outage_report(outage(10.0, 16.0), history(*endings)).pause_s == 3.0
    assert outage_report(outage(10.0, 20.0), history(*endings)).pause_s == 5.0
    assert outage_report(outage(16.0, 20.0), history(*endings)).pause_s == 4.0


def test_the_slowest_request_took_longest() -> None:
    assert slowest_s(history(request(1_000, "e1", 1_100, 2_000), request(4_000, "e1", 4_100, 6_500))) == 2.5


def connections(*moments: tuple[float, str, str]) -> History:
    made = History({}, 4)
    made.records.moments += [Moment(at, extension, 0, what) for at, extension, what in moments]
    return made


def test_an_extension_is_connected_where_it_authenticated_last() -> None:
    seen = connections(
        (1.0, "e1", f"opens {WEB_A}"),
        (1.1, "e1", "is authenticated with []"),
        (1.0, "e2", f"opens {WEB_A}"),
        (1.1, "e2", "is authenticated with []"),
        (2.0, "e2", f"opens {WEB_B}"),
    )
    assert connected_to(seen, WEB_A) == {"e1"}
    assert connected_to(seen, WEB_B) == set()


def test_the_last_extension_to_reconnect_counts() -> None:
    seen = connections(
        (1.0, "e1", "is authenticated with []"),
        (12.0, "e1", "is authenticated with []"),
        (13.5, "e2", "is authenticated with []"),
    )
    assert reconnected_s(seen, {"e1", "e2"}, at=10.0) == 3.5
    with pytest.raises(ValueError, match="reconnected"):
        reconnected_s(seen, {"e1", "e3"}, at=10.0)
