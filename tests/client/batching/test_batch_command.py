"""`imagefleet batch` and `retry` with a server whose answers are scripted."""

from __future__ import annotations

import itertools
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from imagefleet.batching.folder import LEDGER, BatchFolder
from imagefleet.cli import main
from tests.client.test_program import ENVIRONMENT, running
from tests.support.scripted_batches import BATCH, BATCHES, ONE, ScriptedBatch, refusal, request_id
from tests.support.scripted_server import CUT, Reply, ScriptedServer
from tests.support.waiting import until


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("IMAGEFLEET_API_KEY", raising=False)
    Path("list.txt").write_text("one\ntwo\nthree\n", encoding="utf-8")


def run(server: ScriptedServer | str, *words: str) -> Result:
    """Run a command to its end."""
    url = server if isinstance(server, str) else server.url
    return CliRunner().invoke(main, ["--server", url, *words], catch_exceptions=False)


def batch(server: ScriptedServer | str, *words: str) -> Result:
    return run(server, "batch", "list.txt", "--output", "out", *words)


def files(folder: str = "out") -> dict[str, str]:
    return {path.name: path.read_text() for path in sorted(Path(folder).glob("*.png"))}


def test_pictures_are_fetched_once_and_checked_when_the_command_runs_again(scripted: ScriptedServer) -> None:
    fake = ScriptedBatch(scripted, 3)
    assert batch(scripted).exit_code == 0
    assert files() == {f"000{n}-p{n}.png": f"picture {n} of attempt 1" for n in (1, 2, 3)}
    Path("out/0001-p1.png").write_text("something else")
    Path("out/0002-p2.png").unlink()
    again = batch(scripted)
    assert (again.exit_code, again.stdout) == (0, "out/index.html\n")
    assert files() == {f"000{n}-p{n}.png": f"picture {n} of attempt 1" for n in (1, 2, 3)}
    assert sorted(fake.downloads()) == sorted([fake.path(n) for n in (1, 1, 2, 2, 3)])
    assert len(fake.keys()) == 1


def test_a_submission_whose_answer_is_lost_is_sent_again_with_its_key(scripted: ScriptedServer) -> None:
    fake = ScriptedBatch(scripted, 3)
    scripted.on("POST", BATCHES, CUT)
    lost = batch(scripted, "--patience", "0.1")
    assert lost.exit_code == 3, lost.stderr
    scripted.on("POST", BATCHES, Reply(fake.batch(), 201))
    assert batch(scripted).exit_code == 0
    assert len(fake.keys()) > 1
    assert len(set(fake.keys())) == 1


def test_the_key_is_in_the_folder_before_anything_is_sent(scripted: ScriptedServer) -> None:
    kept: list[Any] = []

    def look(request: Any) -> Reply:
        with sqlite3.connect(Path("out") / LEDGER) as database:
            kept.extend(json.loads(row[0]) for row in database.execute("SELECT value FROM facts WHERE name = 'key'"))
        return Reply(fake.batch(), 201)

    fake = ScriptedBatch(scripted, 3)
    scripted.on("POST", BATCHES, look)
    assert batch(scripted).exit_code == 0
    assert [f'"{key}"' for key in kept] == fake.keys()


def test_a_table_is_sent_as_it_is_with_the_options_in_the_address(scripted: ScriptedServer) -> None:
    ScriptedBatch(scripted, 3)
    words = [
        "--style",
        "noir",
        "--param",
        "seed=7",
        "--param",
        "hd=true",
        "--var",
        "light=5",
        "--deadline",
        "8h",
        "--keep",
        "30d",
    ]
    words += [
        "--concurrency",
        "4",
        "--name",
        "chapter 1",
        "--cache",
        "prefer",
        "--webhook",
        "https://a.example/",
        "--partial",
    ]
    assert batch(scripted, *words).exit_code == 0
    sent = scripted.requests_to("POST", BATCHES)[0]
    assert (sent.headers["content-type"], sent.body) == ("text/plain", b"one\ntwo\nthree\n")
    assert sent.query == {
        "style": "noir", "param.seed": "7", "param.hd": "true", "var.light": "5", "deadlineMs": "28800000", "keep": "30",
        "concurrency": "4", "name": "chapter 1", "cache": "prefer", "webhook": "https://a.example/", "partial": "true",
    }  # fmt: skip


def test_options_come_before_what_a_list_says_of_the_batch(scripted: ScriptedServer) -> None:
    ScriptedBatch(scripted, 2)
    text = "name: mine\nconcurrency: 2\ndefaults: {style: noir, keep: 7, parameters: {width: 64, seed: 1}}\nitems: [one, two]\n"
    Path("list.yaml").write_text(text, encoding="utf-8")
    words = [
        "batch",
        "list.yaml",
        "--output",
        "out",
        "--concurrency",
        "4",
        "--param",
        'seed="7"',
        "--param",
        "tiles=[1,2]",
    ]
    assert run(scripted, *words).exit_code == 0
    assert scripted.requests_to("POST", BATCHES)[0].json == {
        "name": "mine",
        "concurrency": 4,
        "defaults": {"style": "noir", "keep": 7, "parameters": {"width": 64, "seed": "7", "tiles": [1, 2]}},
        "items": [{"prompt": "one"}, {"prompt": "two"}],
    }


@pytest.mark.parametrize("value", ["[1]", '"7"', '{"a": 1}', '"true"'])
def test_a_parameter_that_an_address_cannot_hold_is_refused(scripted: ScriptedServer, value: str) -> None:
    fake = ScriptedBatch(scripted, 3)
    refused = batch(scripted, "--param", f"x={value}")
    assert (refused.exit_code, "put it into a .yaml" in refused.stderr, fake.keys()) == (2, True, [])


def test_pictures_can_be_left_on_the_server_and_fetched_later(scripted: ScriptedServer) -> None:
    fake = ScriptedBatch(scripted, 3)
    assert batch(scripted, "--no-download").exit_code == 0
    assert (files(), fake.downloads()) == ({}, [])
    assert json.loads(Path("out/index.json").read_text())["items"][2]["images"][0]["imagePath"] == fake.path(3)
    assert run(scripted, "batch", "out").exit_code == 0
    assert len(files()) == 3


def test_concurrency_can_be_changed_while_the_batch_runs(scripted: ScriptedServer) -> None:
    fake = ScriptedBatch(scripted, 3, open_items=[3])
    assert batch(scripted, "--concurrency", "2", "--detach").exit_code == 0
    scripted.on("PATCH", ONE, lambda _: Reply(fake.batch()))
    for wanted in ("8", "8"):
        assert batch(scripted, "--concurrency", wanted, "--detach").exit_code == 0
    assert [each.json for each in scripted.requests_to("PATCH", ONE)] == [{"concurrency": 8}]


def test_a_list_that_was_refused_can_be_mended_in_the_same_folder(scripted: ScriptedServer) -> None:
    errors = [{"line": 2, "field": "prompt", "reason": "It is too long."}]
    problem = {"code": "ERR_INVALID_BATCH", "detail": "1 of 3 items are invalid.", "errors": errors}
    ScriptedBatch(scripted, 3)
    accept = Reply(ScriptedBatch(scripted, 3).batch(), 201)
    scripted.on("POST", BATCHES, Reply(problem, 400), accept)
    refused = batch(scripted)
    assert (refused.exit_code, "list.txt, line 2: prompt: It is too long." in refused.stderr) == (1, True)
    Path("list.txt").write_text("another\n", encoding="utf-8")
    assert batch(scripted, "--style", "noir").exit_code == 0


def test_a_list_that_was_changed_after_a_lost_answer_is_not_taken_for_the_same(scripted: ScriptedServer) -> None:
    ScriptedBatch(scripted, 3)
    scripted.on("POST", BATCHES, CUT)
    batch(scripted, "--patience", "0.1")
    Path("list.txt").write_text("another\n", encoding="utf-8")
    scripted.on("POST", BATCHES, refusal(422, "ERR_IDEMPOTENCY_KEY_REUSED", "The key was used for another request."))
    changed = batch(scripted)
    assert changed.exit_code == 2
    assert "list.txt was changed since it was first submitted from out" in changed.stderr
    assert "choose another --output" in changed.stderr


@pytest.mark.parametrize(
    ("words", "content", "problem"),
    [
        ([], "other\n", "list.txt is not the list that out was made from, or was changed since."),
        (["--style", "noir"], None, "out was made with other options: --style was not given."),
        (["--param", "seed=7"], None, "--param was not given."),
    ],
)
def test_a_folder_is_not_mixed_with_another_list(
    scripted: ScriptedServer, words: list[str], content: str | None, problem: str
) -> None:
    fake = ScriptedBatch(scripted, 3)
    assert batch(scripted).exit_code == 0
    if content is not None:
        Path("list.txt").write_text(content, encoding="utf-8")
    other = batch(scripted, *words)
    assert (other.exit_code, problem in other.stderr, "imagefleet batch out" in other.stderr) == (2, True, True)
    assert len(fake.keys()) == 1


def test_a_folder_is_not_mixed_with_another_server(scripted: ScriptedServer) -> None:
    ScriptedBatch(scripted, 3)
    assert batch(scripted).exit_code == 0
    with ScriptedServer() as other:
        ScriptedBatch(other, 3)
        refused = run(other, "batch", "out")
        assert (refused.exit_code, f"--server {scripted.url}" in refused.stderr, other.requests) == (2, True, [])
        assert run(other, "batch", BATCH, "--output", "out").exit_code == 0  # the same server, says who runs this
        assert run(other, "batch", "out").exit_code == 0


def test_a_damaged_state_is_named_and_the_batch_can_be_fetched_again(scripted: ScriptedServer) -> None:
    fake = ScriptedBatch(scripted, 3)
    assert batch(scripted).exit_code == 0
    (Path("out") / LEDGER).write_bytes(b"no database " * 100)
    damaged = batch(scripted)
    assert (damaged.exit_code, f"{Path('out') / LEDGER} cannot be used" in damaged.stderr) == (2, True)
    (Path("out") / LEDGER).unlink()
    assert run(scripted, "batch", BATCH, "--output", "out").exit_code == 0
    assert len(fake.downloads()) == 3


def test_what_is_left_of_downloads_is_removed_in_the_end(scripted: ScriptedServer) -> None:
    ScriptedBatch(scripted, 3)
    assert batch(scripted, "--detach").exit_code == 0
    for name in ("0001-p1.png.0123abcd.part", "notes.part"):
        (Path("out") / name).write_text("x")
    assert batch(scripted).exit_code == 0
    assert [path.name for path in Path("out").glob("*.part")] == ["notes.part"]


def test_files_of_other_people_are_not_overwritten(scripted: ScriptedServer) -> None:
    fake = ScriptedBatch(scripted, 3)
    Path("out").mkdir()
    Path("out/index.html").write_text("my site")
    refused = batch(scripted)
    assert (refused.exit_code, "has a file index.html" in refused.stderr) == (2, True)
    assert fake.keys() == []


def test_two_commands_do_not_work_in_one_folder(scripted: ScriptedServer) -> None:
    fake = ScriptedBatch(scripted, 3)
    assert batch(scripted).exit_code == 0
    with BatchFolder(Path("out")):
        busy = batch(scripted)
        assert (busy.exit_code, f"Another imagefleet (process {os.getpid()})" in busy.stderr) == (2, True)
        scripted.on("POST", f"{ONE}/retry", Reply(fake.batch()))
        again = run(scripted, "retry", "out", "--item", "2")
        assert (again.exit_code, "and saves the new pictures as well." in again.stderr) == (0, True)
    assert len(scripted.requests_to("POST", f"{ONE}/retry")) == 1


def test_a_batch_of_this_id_is_fetched_into_a_folder_and_what_is_there_is_kept(scripted: ScriptedServer) -> None:
    fake = ScriptedBatch(scripted, 3, failed=[2])
    Path("out").mkdir()
    Path("out/0001-p1.png").write_text("picture 1 of attempt 1")
    fetched = run(scripted, "batch", "--resume", BATCH, "--output", "out")
    assert (fetched.exit_code, sorted(files())) == (7, ["0001-p1.png", "0003-p3.png"])
    assert fake.downloads() == [fake.path(3)]
    assert "Item 2 (p2) failed: It took too long. (ERR_TIMEOUT)" in fetched.stderr
    assert "imagefleet retry out" in fetched.stderr


def test_lines_of_json_have_each_item_that_ended(scripted: ScriptedServer) -> None:
    ScriptedBatch(scripted, 3, failed=[2])
    ended = batch(scripted, "--jsonl", "--quiet")
    items = sorted((json.loads(line) for line in ended.stdout.splitlines()), key=lambda item: item["index"])
    assert [(item["index"], item["status"]) for item in items] == [(1, "completed"), (2, "failed"), (3, "completed")]
    assert (items[0]["images"][0]["file"], items[1]["code"], ended.stderr) == ("0001-p1.png", "ERR_TIMEOUT", "")


def test_an_item_that_is_made_again_takes_the_place_of_the_old_one(scripted: ScriptedServer) -> None:
    fake = ScriptedBatch(scripted, 3, failed=[3])
    assert batch(scripted).exit_code == 7

    def retry(request: Any) -> Reply:
        fake.attempts[2] = 2
        fake.serve(2)
        return Reply(fake.batch())

    scripted.on("POST", f"{ONE}/retry", retry)
    again = run(scripted, "retry", "out", "--item", "p2", "--prompt", "other", "--param", "seed=7")
    assert (again.exit_code, again.stdout) == (0, "out/0002-p2.png\n")
    edit = {"customId": "p2", "prompt": "other", "parameters": {"seed": 7}}
    assert scripted.requests_to("POST", f"{ONE}/retry")[0].json == {"items": [edit]}
    assert files()["0002-p2.png"] == "picture 2 of attempt 2"
    assert [item["requestId"] for item in json.loads(Path("out/index.json").read_text())["items"]][1] == request_id(
        2, 2
    )
    assert len(fake.downloads()) == 3


def test_a_picture_that_was_removed_is_said_to_be_missing(scripted: ScriptedServer) -> None:
    fake = ScriptedBatch(scripted, 3)
    scripted.on("GET", fake.path(2), refusal(410, "ERR_GONE", "It was removed."))
    ended = batch(scripted)
    assert (ended.exit_code, "Item 2 (p2): The picture was removed from the server." in ended.stderr) == (7, True)
    assert "The picture was removed" in Path("out/index.html").read_text()


def test_a_picture_that_never_arrives_whole_is_given_up_while_the_others_are_saved(
    scripted: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("imagefleet.batching.crew.pauses", lambda: itertools.repeat(0.01))
    fake = ScriptedBatch(scripted, 3)
    scripted.on("GET", fake.path(2), Reply(b"something else"))
    ended = batch(scripted)
    assert (ended.exit_code, sorted(files())) == (7, ["0001-p1.png", "0003-p3.png"])
    assert "Item 2 (p2): It could not be fetched: " in ended.stderr
    fake.serve(2)
    assert batch(scripted).exit_code == 0
    assert len(files()) == 3


def test_a_rate_limit_is_waited_out(scripted: ScriptedServer) -> None:
    fake = ScriptedBatch(scripted, 3)
    limit = refusal(429, "ERR_RATE_LIMIT", "You may submit 10 requests in 60 s.", Retry_After="1")
    scripted.on("POST", BATCHES, limit, Reply(fake.batch(), 201))
    ended = batch(scripted)
    assert (ended.exit_code, "You may submit 10 requests in 60 s." in ended.stderr) == (0, True)
    assert len(set(fake.keys())) == 1


def test_a_key_that_was_revoked_ends_the_command_and_says_how_to_go_on(scripted: ScriptedServer) -> None:
    fake = ScriptedBatch(scripted, 3, open_items=[3])
    for number in (1, 2):
        scripted.on(
            "GET", f"/api/images/{request_id(number)}", refusal(401, "ERR_UNAUTHORIZED", "The key was revoked.")
        )
    ended = batch(scripted)
    assert ended.exit_code == 1
    assert "The key was revoked." in ended.stderr
    assert "Come back with: imagefleet batch out" in ended.stderr
    assert fake.downloads() == []


def test_a_full_disk_ends_the_command_which_goes_on_later(
    scripted: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    ScriptedBatch(scripted, 3)
    with monkeypatch.context() as full:
        full.setattr("os.replace", _full)
        ended = batch(scripted)
        assert (ended.exit_code, "No space left on device" in ended.stderr) == (6, True)
        assert "come back with: imagefleet batch out" in ended.stderr
    assert batch(scripted).exit_code == 0
    assert len(files()) == 3


def _full(source: object, target: object) -> None:
    raise OSError(28, "No space left on device", str(target))


def test_a_server_that_is_away_is_waited_for_as_long_as_the_patience_lasts(scripted: ScriptedServer) -> None:
    ScriptedBatch(scripted, 3)
    assert batch(scripted, "--detach").exit_code == 0
    for path in (ONE, f"{ONE}/items", f"{ONE}/events"):
        scripted.on("GET", path, refusal(503, "ERR_UNAVAILABLE", "The database is away."))
    away = batch(scripted, "--patience", "1s")
    assert away.exit_code in (1, 3)
    assert "The database is away. Trying again; the batch itself continues." in away.stderr


def test_the_end_is_told_with_the_counts_of_the_end(scripted: ScriptedServer) -> None:
    fake = ScriptedBatch(scripted, 3)
    early = {**fake.batch(), "status": "cancelled"}
    late = {**early, "counts": {"total": 3, "completed": 2, "cancelled": 1}}
    scripted.on("GET", ONE, Reply(early), Reply(late))
    ended = batch(scripted)
    assert (ended.exit_code, "2 of 3 completed, 1 cancelled." in ended.stderr) == (1, True)


def test_a_batch_that_the_server_does_not_know_any_more_is_named(scripted: ScriptedServer) -> None:
    ScriptedBatch(scripted, 3)
    assert batch(scripted, "--detach").stdout == f"{BATCH}\n"
    scripted.on("GET", ONE, refusal(404, "ERR_NOT_FOUND", "Not found."))
    lost = batch(scripted)
    assert (lost.exit_code, f"knows no batch {BATCH}" in lost.stderr) == (1, True)


def test_fields_of_a_newer_server_are_no_obstacle(scripted: ScriptedServer) -> None:
    fake = ScriptedBatch(scripted, 2)
    fake.more = {"colour": {"of": ["sadness"]}, "progress": None}
    for number in (1, 2):
        fake.serve(number)
    assert batch(scripted).exit_code == 0
    assert len(files()) == 2


def test_a_server_without_batches_is_said_to_be_another_one(scripted: ScriptedServer) -> None:
    ended = batch(scripted)
    assert ended.exit_code == 1
    assert "takes no batches: it is too old for this command" in ended.stderr


def test_ctrl_c_leaves_the_batch_running_and_says_how_to_come_back(scripted: ScriptedServer) -> None:
    ScriptedBatch(scripted, 3, open_items=[2])
    with running("batch", "list.txt", "--output", "out", "--server", scripted.url) as program:
        until(lambda: len(files()) == 2 if Path("out").exists() else False)
        code, _ = program.end(signal.SIGINT)
    assert code == 130
    assert program.has_logged("The batch goes on without this command. Come back with: imagefleet batch out")
    assert len(json.loads(Path("out/index.json").read_text())["items"]) == 2
    assert not program.has_logged("Traceback")


def test_a_terminal_shows_a_bar_and_what_fails_above_it(scripted: ScriptedServer) -> None:
    ScriptedBatch(scripted, 3, failed=[2])
    terminal, stderr = os.openpty()
    words = [sys.executable, "-m", "imagefleet", "batch", "list.txt", "--output", "out", "--server", scripted.url]
    environment = {**ENVIRONMENT, "TERM": "xterm", "COLUMNS": "120"}
    ended = subprocess.run(words, check=False, stdout=subprocess.PIPE, stderr=stderr, text=True, env=environment)
    os.close(stderr)
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", os.read(terminal, 100_000).decode())
    os.close(terminal)
    assert (ended.returncode, ended.stdout) == (7, "out/index.html\n")
    assert re.search(r"━+ 3/3 2 saved, 1 failed", shown), shown
    assert "Item 2 (p2) failed: It took too long. (ERR_TIMEOUT)" in shown
    assert "2 of 3 completed, 1 failed. out/index.html shows them." in shown
