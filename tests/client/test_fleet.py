"""The list of extensions for operators, by the library and the command."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from click.testing import CliRunner, Result

from imagefleet.cli import main
from imagefleet.client import Client
from tests.support.scripted_server import Reply, ScriptedServer, refusal
from tests.support.wire_answers import ID, NOW

PATH = "/api/extensions"
NOON = datetime(2024, 1, 14, 12, tzinfo=UTC)
PAINTER = {
    "extensionId": "painter",
    "connected": True,
    "standing": "paused",
    "since": NOW,
    "lastSeenAt": NOW,
    "capabilities": ["dall-e-3", "flux"],
    "available": True,
    "maxConcurrent": 2,
    "active": 1,
    "requestIds": [ID],
    "failures": 1,
    "pause": {"until": NOW, "reason": "Too \x1b[31mmany"},
}
SCULPTOR = {"extensionId": "sculptor", "standing": "away"}


def run(scripted: ScriptedServer, *words: str) -> Result:
    return CliRunner().invoke(main, ["fleet", *words], env={"IMAGEFLEET_URL": scripted.url})


def test_extensions_are_read_page_by_page(fleet: Client, scripted: ScriptedServer) -> None:
    scripted.on(
        "GET", PATH, Reply({"extensions": [PAINTER], "nextCursor": "painter"}), Reply({"extensions": [SCULPTOR]})
    )
    first, second = fleet.extensions(connected=False, page_size=1)
    assert (first.extension_id, first.standing, first.since) == ("painter", "paused", NOON)
    assert (first.active, first.max_concurrent, first.request_ids) == (1, 2, (ID,))
    assert first.pause is not None
    assert (first.pause.until, first.pause.reason) == (NOON, "Too \x1b[31mmany")
    assert (second.extension_id, second.standing, second.connected, second.pause) == ("sculptor", "away", None, None)
    asked = [each.query for each in scripted.requests]
    assert asked == [{"connected": "false", "limit": "1"}, {"connected": "false", "limit": "1", "cursor": "painter"}]


def test_the_command_prints_a_line_per_extension(scripted: ScriptedServer, two_hours_ahead: None) -> None:
    scripted.on("GET", PATH, Reply({"extensions": [PAINTER, SCULPTOR]}))
    ended = run(scripted, "--connected")
    assert ended.exit_code == 0
    assert ended.stdout.splitlines() == [
        "painter\tpaused\t2024-01-14 14:00:00\t1/2\tdall-e-3,flux\tToo  [31mmany",
        "sculptor\taway\t\t0/0\t\t",
    ]
    assert scripted.requests[0].query["connected"] == "true"


def test_the_command_prints_objects(scripted: ScriptedServer) -> None:
    scripted.on("GET", PATH, Reply({"extensions": [{**PAINTER, "new": [1]}]}))
    assert json.loads(run(scripted, "--json").stdout) == [{**PAINTER, "new": [1]}]


def test_a_user_who_is_not_an_operator_is_refused(scripted: ScriptedServer) -> None:
    scripted.on("GET", PATH, refusal(403, "ERR_FORBIDDEN", "Only operators may do this."))
    ended = run(scripted)
    assert (ended.exit_code, ended.stdout) == (1, "")
    assert "Only operators may do this." in ended.stderr
