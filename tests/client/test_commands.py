"""Commands with a server whose answers are scripted: what they send, print, and refuse."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from imagefleet.cli import main
from imagefleet.times import in_words
from tests.support.scripted_server import RecordedRequest, Reply, ScriptedServer, refusal
from tests.support.wire_answers import EVENTS, GENERATE, ID, IMAGE, STATUS, accepted, event, image, result, stream

Run = Callable[..., Result]
BATCH = f"/api/batches/{ID}"
HOOK = {"webhookId": "wh_1", "url": "https://shop.example/hooks", "enabled": True, "events": ["image.completed"]}
NOIR = {"name": "noir", "template": "{prompt}, {light}", "shared": False, "userId": "ann", "variables": {"light": None}}


@pytest.fixture
def run(scripted: ScriptedServer) -> Run:
    def invoke(*words: str, stdin: str | bytes = "", **env: str) -> Result:
        return CliRunner().invoke(main, list(words), input=stdin, env={"IMAGEFLEET_URL": scripted.url, **env})

    return invoke


def sent(scripted: ScriptedServer) -> list[tuple[str, str, Any]]:
    return [(each.method, each.path, each.json if each.body else each.query) for each in scripted.requests]


def test_a_prompt_is_read_from_stdin(run: Run, scripted: ScriptedServer) -> None:
    scripted.on("POST", GENERATE, accepted())
    assert run("generate", "-", stdin="a fox\nin snow\n").exit_code == 0
    assert scripted.requests[0].json["prompt"] == "a fox\nin snow"
    assert run("generate", "-", stdin=b"\xff").exit_code == 2


def test_input_pictures_are_uploaded_first(run: Run, scripted: ScriptedServer, tmp_path: Path) -> None:
    def upload(request: RecordedRequest) -> Reply:
        return Reply({"inputId": f"id-of-{request.body.decode()}"})

    scripted.on("POST", "/api/inputs", upload)
    scripted.on("POST", GENERATE, accepted())
    for name in ("fox", "mask"):
        (tmp_path / name).write_text(name)
    named = ["--input", str(tmp_path / "fox"), "--mask", str(tmp_path / "mask"), "--strength", "0.5"]
    assert run("generate", "in snow", *named).exit_code == 0
    assert scripted.requests[-1].json["inputImages"] == [
        {"inputId": "id-of-fox", "role": "image", "strength": 0.5},
        {"inputId": "id-of-mask", "role": "mask"},
    ]


def test_variations_are_made_from_a_picture_of_a_request(run: Run, scripted: ScriptedServer) -> None:
    scripted.on("POST", f"{IMAGE}/variations", accepted())
    ended = run("generate", "--variation-of", ID, "--number", "2", "--picture", "3", "--strength", "1", "in", "snow")
    assert (ended.exit_code, ended.stdout) == (0, f"{ID}\n")
    assert scripted.requests[0].json == {"prompt": "in snow", "numberOfImages": 2, "position": 2, "strength": 1.0}


@pytest.mark.parametrize(
    "words",
    [
        ["generate", "  "],
        ["generate", "fox", "--strength", "0.5"],
        ["generate", "fox", "--mask", __file__],
        ["generate", "fox", "--input", "missing.png"],
        ["generate", "fox", "--picture", "2"],
        ["generate", "--variation-of", ID, "--model", "m"],
        ["generate", "fox", "--keep", "long"],
        ["generate", "fox", "--priority", "urgent"],
        ["list", "--since", "yesterday"],
        ["list", "--status", "done"],
        ["webhooks", "redeliver", "wh_1"],
        ["webhooks", "redeliver", "wh_1", "--delivery", "d", "--failed-since", "1h"],
        ["webhooks", "rotate"],
        ["webhooks", "rotate", "wh_1", "--account"],
        ["styles", "create", "noir"],
        ["styles", "paint"],
        ["completion", "csh"],
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_is_sent(
    run: Run, scripted: ScriptedServer, words: list[str]
) -> None:
    ended = run(*words)
    assert (ended.exit_code, ended.stdout, scripted.requests) == (2, "", [])
    assert "Error: " in ended.stderr


def test_a_list_ends_at_its_earliest_time(run: Run, scripted: ScriptedServer) -> None:
    def page(hours: int) -> dict[str, str]:
        created = datetime.now(UTC) - timedelta(hours=hours)
        return {"requestId": f"id-{hours}", "status": "completed", "createdAt": created.isoformat()}

    scripted.on("GET", "/api/images", Reply({"images": [page(n) for n in (1, 5, 20, 30)], "nextCursor": "more"}))
    ended = run("list", "--since", "24h", "--until", "2h", "--variations-of", ID)
    assert [line.split("\t")[0] for line in ended.stdout.splitlines()] == ["id-5", "id-20"]
    assert [each.query["parentId"] for each in scripted.requests] == [ID]


def test_the_queue_says_where_a_request_is_why_and_until_when(run: Run, scripted: ScriptedServer) -> None:
    soon, later = (datetime.now(UTC) + timedelta(minutes=n) for n in (3, 8))
    queue = {"position": 4, "reason": "All extensions are busy.", "remedy": "Connect another one."}
    eta = {"p50": soon.isoformat(), "p90": later.isoformat()}
    scripted.on("GET", STATUS, Reply({"requestId": ID, "status": "accepted", "queue": {**queue, "eta": eta}}))
    lines = run("queue", ID).stdout.splitlines()
    assert lines[:3] == ["It is number 4 in the queue for its model.", queue["reason"], queue["remedy"]]
    assert lines[3].startswith("It starts in about 3 minutes, and nine times out of ten within 8 minutes (")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.2, "1 second"),
        (89, "89 seconds"),
        (90, "2 minutes"),
        (5_399, "90 minutes"),
        (7_200, "2 hours"),
        (200_000, "2 days"),
    ],
)
def test_durations_are_said_in_words(seconds: float, words: str) -> None:
    assert in_words(seconds) == words


def test_the_state_of_the_queue_is_a_table_and_sentences(run: Run, scripted: ScriptedServer) -> None:
    state = {
        "waiting": 3,
        "queues": [{"model": "flux-2", "priority": "low", "depth": 3, "oldestSeconds": 300}],
        "paused": [{"scope": "model", "model": "flux-2", "state": "paused", "note": "repairs"}],
        "slots": {"extensions": 1, "total": 2, "busy": 1, "byModel": [{"model": "flux-2", "total": 2, "busy": 1}]},
        "throughput": {"windowSeconds": 300, "completed": 7},
    }
    scripted.on("GET", "/api/queue", Reply(state))
    ended = run("queue")
    assert ended.stdout == "flux-2\tlow\t3\t5 minutes\t1/2\t\n"
    assert ended.stderr.splitlines() == [
        "3 waiting; 1 of 2 slots of 1 extension busy.",
        "7 completed in the last 5 minutes.",
        "Model flux-2 is paused: repairs.",
    ]
    assert json.loads(run("queue", "--json").stdout) == state
    assert run("queue", "--quiet").stderr == ""


def test_styles_are_listed_shown_defined_and_removed(run: Run, scripted: ScriptedServer) -> None:
    scripted.on("GET", "/api/styles", Reply({"styles": [NOIR]}))
    scripted.on("GET", "/api/styles/noir", Reply(NOIR))
    scripted.on("POST", "/api/styles", Reply(NOIR))
    scripted.on("PUT", "/api/styles/noir", Reply(NOIR))
    scripted.on("DELETE", "/api/styles/noir", Reply(b"", 204))
    assert run("styles").stdout == run("styles", "list").stdout == "noir\tann\tlight\t\t{prompt}, {light}\n"
    assert run("styles", "show", "noir").stdout.splitlines() == [
        "noir",
        "Template: {prompt}, {light}",
        "Variable light: required",
    ]
    create = ["styles", "create", "noir", "{prompt}, {light}", "--required", "light"]
    assert [run(*create, *more).stdout for more in ([], ["--replace"])] == ["noir\n"] * 2
    assert run("styles", "delete", "noir").stderr == "Removed the style noir.\n"
    assert [each[:2] for each in sent(scripted)[3:]] == [
        ("POST", "/api/styles"),
        ("PUT", "/api/styles/noir"),
        ("DELETE", "/api/styles/noir"),
    ]
    assert scripted.requests[3].json["variables"] == {"light": None}


def test_a_webhooks_secret_is_shown_once_and_its_deliveries_say_what_failed(run: Run, scripted: ScriptedServer) -> None:
    delivery = {"deliveryId": "d1", "eventId": "e1", "type": "image.failed", "status": "failed", "attempts": 10}
    scripted.on("POST", "/api/webhooks", Reply({**HOOK, "secret": "whsec_x"}))
    scripted.on("GET", "/api/webhooks", Reply({"webhooks": [{**HOOK, "enabled": False, "disabledReason": "410"}]}))
    scripted.on("PATCH", "/api/webhooks/wh_1", Reply(HOOK))
    scripted.on("POST", "/api/webhooks/wh_1/test", Reply(delivery))
    scripted.on("POST", "/api/webhooks/wh_1/redeliver", Reply({"count": 3}))
    scripted.on("POST", "/api/webhooks/wh_1/rotate-secret", Reply({"secret": "whsec_y"}))
    scripted.on("POST", "/api/webhooks/account/rotate-secret", Reply({"secret": "whsec_z"}))
    scripted.on(
        "GET",
        "/api/webhooks/wh_1/deliveries",
        Reply({"deliveries": [{**delivery, "responseStatus": 500, "error": "no\x1b[2J"}]}),
    )
    made = run("webhooks", "create", HOOK["url"], "--event", "image.completed")
    assert made.stdout == "wh_1\nwhsec_x\n"
    assert "It is not shown again" in made.stderr
    assert run("webhooks").stdout == "wh_1\tdisabled\thttps://shop.example/hooks\timage.completed\t410\n"
    assert run("webhooks", "disable", "wh_1").stdout == "wh_1 is enabled\n"
    assert scripted.requests[-1].json == {"enabled": False}
    assert run("webhooks", "test", "wh_1").stdout == "d1\n"
    assert run("webhooks", "deliveries", "wh_1").stdout == "d1\t\timage.failed\tfailed\t10\t500\tno [2J\n"
    assert run("webhooks", "redeliver", "wh_1", "--failed-since", "2024-01-14T12:00:00Z").stdout == "3 sent again\n"
    assert scripted.requests[-1].json == {"failedSince": "2024-01-14T12:00:00Z"}
    assert run("webhooks", "rotate", "wh_1").stdout == "whsec_y\n"
    assert run("webhooks", "rotate", "--account").stdout == "whsec_z\n"


def test_models_are_listed(run: Run, scripted: ScriptedServer) -> None:
    scripted.on("GET", "/v1/models", Reply({"data": [{"id": "flux-2"}]}), Reply({"data": []}))
    assert run("models").stdout == "flux-2\n"
    assert run("models").stderr == "No extension that names its models is connected.\n"


def batch(status: str, completed: int, failed: int) -> Reply:
    counts = {"total": 3, "completed": completed, "failed": failed}
    return Reply({"batchId": ID, "status": status, "counts": counts, "version": completed + failed})


@pytest.mark.parametrize(
    ("last", "code", "said"),
    [
        (batch("completed", 3, 0), 0, ""),
        (batch("completed", 2, 1), 7, "1 of 3 items have no pictures."),
        (batch("cancelled", 1, 0), 1, f"Batch {ID} was cancelled."),
    ],
)
def test_a_batch_is_watched_by_its_id(run: Run, scripted: ScriptedServer, last: Reply, code: int, said: str) -> None:
    scripted.on("GET", BATCH, batch("running", 1, 0), last)
    ended = run("watch", ID)
    assert ended.exit_code == code
    assert "running: 1 of 3 completed" in ended.stderr
    assert said in ended.stderr


def test_the_pictures_of_a_batch_are_not_watched_but_fetched_by_another_command(
    run: Run, scripted: ScriptedServer, tmp_path: Path
) -> None:
    scripted.on("GET", BATCH, batch("running", 1, 0))
    ended = run("watch", ID, "--output", str(tmp_path))
    assert ended.exit_code == 2
    assert f"imagefleet batch {ID} --output {tmp_path}" in ended.stderr


def test_what_is_neither_a_request_nor_a_batch_is_not_found(run: Run) -> None:
    for words in (["watch", ID], ["watch", ID, "--events"], ["cancel", ID]):
        ended = run(*words)
        assert (ended.exit_code, ended.stdout) == (1, "")
        assert "Not found. (ERR_NOT_FOUND" in ended.stderr


def test_a_batch_is_cancelled_by_its_id(run: Run, scripted: ScriptedServer) -> None:
    scripted.on("POST", f"{BATCH}/cancel", batch("cancelled", 1, 0))
    assert run("cancel", ID).stdout == "cancelled: 1 of 3 completed\n"


def test_events_are_printed_as_they_happen(run: Run, scripted: ScriptedServer) -> None:
    scripted.on("GET", EVENTS, stream(event("OneEvent", 1), event("ImageGeneratedEvent", 2, "completed")))
    assert run("watch", ID, "--events").stdout.splitlines() == [
        "    1  OneEvent  processing",
        "    2  ImageGeneratedEvent  completed",
    ]
    lines = run("watch", ID, "--events", "--jsonl").stdout.splitlines()
    assert [json.loads(line)["seq"] for line in lines] == [1, 2]


@pytest.fixture
def viewer(tmp_path: Path) -> Path:
    """A folder with an xdg-open that writes down what it is called with, and fails if there is a file `broken`."""
    program = tmp_path / "bin" / "xdg-open"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/shown\n[ ! -e {tmp_path}/broken ]\n')
    program.chmod(0o755)
    return program.parent


def test_pictures_are_shown_in_the_viewer_and_kept_in_a_cache(
    run: Run, scripted: ScriptedServer, tmp_path: Path, viewer: Path
) -> None:
    scripted.on("GET", IMAGE, result(images=[image("/a/1.png", b"one"), image("/a/2.png", b"two")]))
    scripted.on("GET", "/a/1.png", Reply(b"one"))
    scripted.on("GET", "/a/2.png", Reply(b"two"))
    env = {"PATH": f"{viewer}:{os.environ['PATH']}", "IMAGEFLEET_CACHE_DIR": str(tmp_path / "cache")}
    shown = run("open", ID, "--picture", "2", **env)
    assert shown.exit_code == 0, shown.output
    file = shown.stdout.strip()
    assert Path(file).read_bytes() == b"two"
    assert (tmp_path / "shown").read_text() == f"{file}\n"
    assert run("open", ID, "--picture", "3", **env).exit_code == 1
    (tmp_path / "broken").touch()
    for path in (env["PATH"], "/nonexistent"):
        without = run("open", ID, "--picture", "1", **{**env, "PATH": path})
        assert without.exit_code == 1
        assert Path(without.stdout.strip()).read_bytes() == b"one"
        assert "Open the file yourself; on Linux, xdg-utils has xdg-open." in without.stderr


def test_pictures_of_a_request_that_has_none_are_not_shown(run: Run, scripted: ScriptedServer, tmp_path: Path) -> None:
    scripted.on("GET", IMAGE, result("processing"), result("failed", error="No."), refusal(404, "ERR_NOT_FOUND", "No."))
    codes = [run("open", ID, IMAGEFLEET_CACHE_DIR=str(tmp_path)).exit_code for _ in range(3)]
    assert codes == [4, 1, 1]
