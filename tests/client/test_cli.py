"""The command: results on stdout, progress on stderr, one sentence and a documented exit code for each outcome."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from imagefleet.cli import COMMANDS, main
from imagefleet.defaults import VERSION
from tests.support.ports import free_port
from tests.support.scripted_server import CUT, Reply, ScriptedServer, refusal
from tests.support.wire_answers import (
    GENERATE,
    ID,
    IMAGE,
    NOW,
    STATUS,
    accepted,
    image,
    result,
    status,
)

PYPROJECT = Path(__file__).parents[2] / "client" / "pyproject.toml"
FILE = f"/generated-images/{ID}_1.png"
Run = Callable[..., Result]


@pytest.fixture
def run(scripted: ScriptedServer) -> Run:
    def invoke(*words: str, server: str = scripted.url) -> Result:
        return CliRunner().invoke(main, list(words), env={"IMAGEFLEET_URL": server})

    return invoke


def test_a_submission_prints_only_the_id(run: Run, scripted: ScriptedServer) -> None:
    scripted.on("POST", GENERATE, accepted())
    ended = run("generate", "a", "red", "fox")
    assert (ended.exit_code, ended.stdout, ended.stderr) == (0, f"{ID}\n", "")
    assert scripted.requests[0].json == {"prompt": "a red fox"}


def test_every_option_sets_its_field(run: Run, scripted: ScriptedServer) -> None:
    scripted.on("POST", GENERATE, accepted())
    named = [
        "--model",
        "m",
        "--width",
        "64",
        "--height",
        "32",
        "--quality",
        "hd",
        "--number",
        "2",
        "--style",
        "noir",
        "--var",
        "light=a=b",
        "--priority",
        "low",
        "--keep",
        "30d",
        "--webhook",
        "https://shop.example/hooks",
        "--user",
        "u",
    ]
    run("generate", "fox", *named, "--param", "seed=7", "--param", "mood=dark blue", "--param", "x=NaN", "--json")
    assert scripted.requests[0].json == {
        "prompt": "fox",
        "model": "m",
        "userId": "u",
        "style": "noir",
        "variables": {"light": "a=b"},
        "priority": "low",
        "keep": 30,
        "webhook": {"url": "https://shop.example/hooks"},
        "parameters": {
            "width": 64,
            "height": 32,
            "quality": "hd",
            "numberOfImages": 2,
            "seed": 7,
            "mood": "dark blue",
            "x": "NaN",
        },
    }


def test_waiting_reports_progress_on_stderr_and_prints_the_url_of_the_picture(
    run: Run, scripted: ScriptedServer
) -> None:
    queue = {"position": 2, "reason": "All are busy."}
    scripted.on("POST", GENERATE, accepted())
    scripted.on(
        "GET",
        STATUS,
        status("accepted", 1, queue=queue),
        status("processing", 2, progress=40, message="Ink"),
        status("completed", 3),
    )
    scripted.on("GET", IMAGE, result(images=[image(FILE)]))
    ended = run("generate", "fox", "--wait")
    assert (ended.exit_code, ended.stdout) == (0, f"{scripted.url}{FILE}\n")
    assert ended.stderr.splitlines() == [
        f"Request {ID}",
        "accepted, number 2 in the queue: All are busy.",
        "processing 40 % Ink",
        "completed",
        "Made with m",
    ]


EXTRA: dict[str, Any] = {
    "userId": "ann",
    "createdAt": NOW,
    "parameters": {"seed": 2**64 - 1},
    "new": [None, {"x": 0.5}],
}


@pytest.mark.parametrize(
    ("words", "method", "path", "reply"),
    [
        (["generate", "fox"], "POST", GENERATE, accepted()),
        (["get", ID], "GET", IMAGE, result(version=4, images=[image(FILE, b"one", width=8, sha256="x")])),
        (["cancel", ID], "DELETE", IMAGE, status("cancelled", 2)),
    ],
)
def test_json_output_is_the_response_with_all_its_fields(
    run: Run, scripted: ScriptedServer, words: list[str], method: str, path: str, reply: Reply
) -> None:
    assert isinstance(reply.body, dict)
    whole = {**reply.body, **EXTRA}
    scripted.on(method, path, Reply(whole))
    assert json.loads(run(*words, "--json").stdout) == whole


def test_json_lists_keep_all_fields_too(run: Run, scripted: ScriptedServer) -> None:
    whole = {"requestId": ID, "status": "completed", **EXTRA}
    scripted.on("GET", "/api/images", Reply({"images": [whole]}))
    assert json.loads(run("list", "--json").stdout) == [whole]
    assert json.loads(run("list", "--jsonl").stdout) == whole


def test_a_failed_request_makes_the_command_fail(run: Run, scripted: ScriptedServer) -> None:
    why = {"code": "ERR_TIMEOUT", "error": "Nobody answered.", "reason": "Three tried."}
    scripted.on("GET", IMAGE, result("failed", **why))
    ended = run("get", ID)
    assert (ended.exit_code, ended.stdout) == (1, "")
    assert ended.stderr == f"imagefleet: Request {ID} failed: Nobody answered. Three tried. (ERR_TIMEOUT)\n"


def test_removed_pictures_make_the_command_fail_and_say_when_they_were_removed(
    run: Run, scripted: ScriptedServer, tmp_path: Path, two_hours_ahead: None
) -> None:
    scripted.on("GET", IMAGE, result("completed", picturesRemovedAt=NOW))
    scripted.on("GET", STATUS, status("completed", 3))
    said = f"imagefleet: The pictures of request {ID} were removed at 2024-01-14 14:00:00.\n"
    for ended in (run("get", ID), run("get", ID, "--output", str(tmp_path))):
        assert (ended.exit_code, ended.stdout, ended.stderr) == (1, "", said)
    assert list(tmp_path.iterdir()) == []
    as_json = run("get", ID, "--json")
    assert (as_json.exit_code, json.loads(as_json.stdout)["picturesRemovedAt"]) == (1, NOW)


def test_an_error_that_is_no_sentence_introduces_its_reason(run: Run, scripted: ScriptedServer) -> None:
    scripted.on("GET", IMAGE, result("failed", error="The tab crashed", reason="out of memory"))
    assert "failed: The tab crashed: out of memory\n" in run("get", ID).stderr


def test_an_unfinished_request_has_its_own_exit_code(run: Run, scripted: ScriptedServer) -> None:
    scripted.on("GET", IMAGE, result("processing", progress=40))
    scripted.on("GET", STATUS, status("processing", 3))
    assert (run("get", ID).exit_code, run("watch", ID, "--timeout", "0.1").exit_code) == (4, 4)
    assert (
        f"Request {ID} is not finished (processing 40 %). Wait for it with `imagefleet watch {ID}`."
        in run("get", ID).stderr
    )


def test_a_refusal_is_one_sentence_with_the_code_and_the_correlation_id(run: Run, scripted: ScriptedServer) -> None:
    scripted.on("POST", GENERATE, refusal(429, "ERR_RATE_LIMIT", "At most 10 a minute.", Retry_After="43"))
    ended = run("generate", "fox", "--patience", "42s")
    assert ended.exit_code == 1
    assert ended.stderr == (
        "imagefleet: At most 10 a minute. Try again in 43 s. (ERR_RATE_LIMIT, correlation id corr-0001)\n"
    )


def test_a_refusal_that_says_when_to_try_again_says_it_once(run: Run, scripted: ScriptedServer) -> None:
    scripted.on("POST", GENERATE, refusal(429, "ERR_RATE_LIMIT", "Try again in 43 s.", Retry_After="43"))
    assert run("generate", "fox", "--patience", "0").stderr.count("43 s") == 1


def test_a_rate_limit_is_waited_out_and_announced(run: Run, scripted: ScriptedServer) -> None:
    slow = refusal(429, "ERR_RATE_LIMIT", "At most 10 a minute.", Retry_After="1")
    scripted.on("POST", GENERATE, slow, accepted())
    ended = run("generate", "fox")
    assert (ended.exit_code, ended.stdout) == (0, f"{ID}\n")
    assert ended.stderr == "At most 10 a minute. Try again in 1 s. Waiting until then.\n"


def test_how_long_to_wait_for_an_extension_is_the_deadline_of_the_request(run: Run, scripted: ScriptedServer) -> None:
    scripted.on("POST", GENERATE, accepted())
    run("generate", "fox", "--wait-for-extension", "1h30m")
    assert scripted.requests[0].json == {"prompt": "fox", "deadlineMs": 5_400_000}


@pytest.mark.parametrize("cache", ["off", "prefer", "only"])
def test_whether_pictures_may_be_reused_is_sent(run: Run, scripted: ScriptedServer, cache: str) -> None:
    scripted.on("POST", GENERATE, accepted())
    run("generate", "fox", "--cache", cache)
    assert scripted.requests[0].json == {"prompt": "fox", "cache": cache}


def test_until_when_a_request_waits_is_shown_in_local_time(
    run: Run, scripted: ScriptedServer, two_hours_ahead: None
) -> None:
    scripted.on("POST", GENERATE, Reply({"requestId": ID, "status": "accepted", "waitsUntil": NOW}))
    why = {"reason": "The extension is busy.", "remedy": "Wait, or connect another extension."}
    queue = {"position": 1, "waitsUntil": NOW, "eta": {"p50": NOW, "p90": NOW}, **why}
    scripted.on("GET", IMAGE, result("accepted", queue=queue))
    made, looked = run("generate", "fox", "--wait-for-extension", "8h"), run("get", ID)
    assert (made.stdout, made.stderr) == (f"{ID}\n", "It waits for an extension until 2024-01-14 14:00:00.\n")
    assert (
        "accepted, number 1 in the queue, probably starts before 2024-01-14 14:00:00, "
        "waits until 2024-01-14 14:00:00: The extension is busy. Wait, or connect another extension."
    ) in looked.stderr


def test_waiting_says_while_the_server_is_away(run: Run, scripted: ScriptedServer) -> None:
    scripted.on("GET", STATUS, status("accepted", 1), CUT, status("accepted", 1), status("completed", 2))
    scripted.on("GET", IMAGE, result(images=[image(FILE)]))
    first, away, again, last, _ = run("watch", ID).stderr.splitlines()
    assert (first, again, last) == ("accepted 0 %", "accepted 0 %", "completed")
    assert away.startswith(f"The connection to {scripted.url} broke before the response arrived")
    assert away.endswith("Trying again; the request itself continues.")


def test_a_timeout_names_the_command_that_continues(run: Run, scripted: ScriptedServer) -> None:
    scripted.on("GET", STATUS, status("processing", 3))
    ended = run("watch", ID, "--timeout", "0.1")
    assert ended.exit_code == 4
    assert f"Wait for it with `imagefleet watch {ID}`." in ended.stderr


def test_an_unreachable_server_is_one_sentence_too(run: Run) -> None:
    ended = run("list", server=f"http://127.0.0.1:{free_port()}")
    assert (ended.exit_code, ended.stdout) == (3, "")
    assert ended.stderr.count("\n") == 1
    assert "connection refused. Start the server, or choose another" in ended.stderr


def test_a_submission_with_unknown_outcome_suggests_the_list_command(run: Run, scripted: ScriptedServer) -> None:
    scripted.on("POST", GENERATE, CUT)
    ended = run("generate", "fox")
    assert ended.exit_code == 3
    assert "check with `imagefleet list` before you try again" in ended.stderr


def test_a_server_that_is_not_imagefleet_is_recognised(run: Run, scripted: ScriptedServer) -> None:
    scripted.on("GET", IMAGE, Reply(b"<html>"))
    ended = run("get", ID)
    assert ended.exit_code == 5
    assert "Check that --server, IMAGEFLEET_URL or the profile has the address of an Imagefleet server." in ended.stderr


@pytest.mark.parametrize("words", [["get", ID], ["generate", "fox"]])
def test_a_folder_that_cannot_be_written_is_named_before_anything_is_sent(
    run: Run, scripted: ScriptedServer, tmp_path: Path, words: list[str]
) -> None:
    (tmp_path / "file").write_text("in the way")
    folder = tmp_path / "file" / "folder"
    ended = run(*words, "--output", str(folder))
    assert ended.exit_code == 6
    assert ended.stderr == f"imagefleet: {folder} cannot be used: Not a directory. Choose another one.\n"
    assert scripted.requests == []


@pytest.mark.parametrize(
    "words",
    [
        ["generate"],
        ["generate", "fox", "--param", "novalue"],
        ["generate", "fox", "--width", "wide"],
        ["generate", "fox", "--patience", "ten"],
        ["generate", "fox", "--wait-for-extension", "8d"],
        ["generate", "fox", "--wait-for-extension", "0"],
        ["generate", "fox", "--cache", "always"],
        ["watch", "x", "--timeout", "-1"],
        ["get", "x", "--server", "localhost:3000"],
        ["get", "x", "--json", "--jsonl"],
        ["get", "x", "--profile", "unknown"],
        ["extension", "--server", "nonsense"],
        ["extension", "--concurrent", "0"],
        ["paint"],
    ],
)
def test_an_invalid_command_line_exits_with_2(run: Run, words: list[str]) -> None:
    ended = run(*words)
    assert (ended.exit_code, ended.stdout) == (2, "")
    assert "Error: " in ended.stderr


def test_the_server_may_be_named_before_or_after_the_command(run: Run, scripted: ScriptedServer) -> None:
    scripted.on("DELETE", IMAGE, status("cancelled", 1))
    before = run("--server", scripted.url, "cancel", ID, server="http://127.0.0.1:1")
    after = run("cancel", ID, "--server", scripted.url + "/", server="http://127.0.0.1:1")
    assert (before.stdout, after.stdout) == ("cancelled\n", "cancelled\n")


def test_a_list_has_a_line_for_each_request_up_to_its_limit(run: Run, scripted: ScriptedServer) -> None:
    page = {"requestId": ID, "status": "processing", "progress": 7, "metadata": {"prompt": "a\x1b[31mfox"}}
    scripted.on("GET", "/api/images", Reply({"images": [page, page, page], "nextCursor": "n"}))
    ended = run("list", "--limit", "2", "--user", "u", "--status", "processing")
    assert ended.stdout == f"{ID}\t\tprocessing\t7\t\ta [31mfox\n" * 2
    assert [each.query for each in scripted.requests] == [{"userId": "u", "status": "processing", "limit": "2"}]
    assert len(json.loads(run("list", "--limit", "2", "--json").stdout)) == 2


USED = {"model": "dall-e-3", "prompt": "a fox", "width": 1024, "height": 768}


@pytest.mark.parametrize(
    ("fields", "shown"),
    [
        ({"metadata": {**USED, "seed": 42}}, ", seed 42"),
        ({"metadata": {**USED, "seed": "18446744073709551615"}}, ", seed 18446744073709551615"),
        ({"metadata": {**USED, "seed": 0}, "parameters": {"seed": 7}}, ", seed 0"),
        ({"metadata": USED, "parameters": {"seed": 7}}, ", seed 7"),
        (
            {"metadata": {**USED, "ignoredParameters": ["seed", "style"]}, "parameters": {"seed": 7}},
            ", without effect: seed style",
        ),
        ({"metadata": {**USED, "seed": {"x": 1}}, "parameters": {"seed": True}}, ""),
        ({"metadata": USED}, ""),
    ],
)
def test_the_model_the_size_and_the_seed_of_a_picture_are_shown(
    run: Run, scripted: ScriptedServer, fields: dict[str, Any], shown: str
) -> None:
    scripted.on("GET", IMAGE, result(images=[image(FILE)], **fields))
    got = run("get", ID)
    assert (got.stdout, got.stderr) == (f"{scripted.url}{FILE}\n", f"Made with dall-e-3, 1024x768{shown}\n")
    scripted.on("GET", "/api/images", Reply({"images": [{"requestId": ID, "status": "completed", **fields}]}))
    assert run("list").stdout == f"{ID}\t\tcompleted\t100\tdall-e-3, 1024x768{shown}\ta fox\n"


def test_an_empty_list_says_so(run: Run, scripted: ScriptedServer) -> None:
    scripted.on("GET", "/api/images", Reply({"images": []}))
    scripted.on("GET", "/api/extensions", Reply({"extensions": []}))
    for words, said in (
        (["list"], "No such request."),
        (["fleet"], "No extension has ever connected."),
        (["fleet", "--connected"], "No extension is connected."),
    ):
        ended = run(*words)
        assert (ended.exit_code, ended.stdout, ended.stderr) == (0, "", f"{said}\n")


def test_cancelling_prints_the_outcome(run: Run, scripted: ScriptedServer) -> None:
    scripted.on(
        "DELETE",
        IMAGE,
        Reply({"requestId": ID, "status": "cancelled", "message": "Image generation request cancelled"}),
    )
    assert run("cancel", ID).stdout == "Image generation request cancelled\n"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_examples(name: str) -> None:
    command = main.get_command(click.Context(main), name)
    assert command is not None
    for words, each in _with_commands_of((name,), command):
        explained = CliRunner().invoke(main, [*words, "--help"]).stdout
        assert f"imagefleet {' '.join(words)}" in explained.partition("Examples:")[2], words
        assert str(each.help).split("\n")[0][:40] in explained, words
        assert all(option.help for option in each.params if isinstance(option, click.Option)), words


def _with_commands_of(words: tuple[str, ...], command: click.Command) -> list[tuple[tuple[str, ...], click.Command]]:
    inner = command.commands if isinstance(command, click.Group) else {}
    return [(words, command), *(((*words, name), each) for name, each in inner.items())]


def test_the_help_of_generate_says_how_long_it_and_the_request_wait() -> None:
    explained = " ".join(CliRunner().invoke(main, ["generate", "--help"], terminal_width=200).stdout.split())
    assert "If none of them is connected, it fails after a few minutes (5, unless" in explained
    assert "rate limit refuses the request. [default: 10m]" in explained
    assert "such as 8h or 2d; at most 7d" in explained


def test_the_version_is_that_of_the_package() -> None:
    assert tomllib.loads(PYPROJECT.read_text())["project"]["version"] == VERSION
    assert VERSION in CliRunner().invoke(main, ["--version"]).stdout


@pytest.mark.parametrize("words", [["--key", "imgk_a_b", "get", ID], ["get", ID, "--key", "imgk_a_b"]])
def test_a_key_is_sent_and_not_printed(run: Run, scripted: ScriptedServer, words: list[str]) -> None:
    scripted.on("GET", IMAGE, refusal(401, "ERR_UNAUTHORIZED", "This API key is invalid."))
    ended = run(*words)
    assert scripted.requests[0].headers["authorization"] == "Bearer imgk_a_b"
    assert ended.exit_code == 1
    assert "This API key is invalid. Run `imagefleet login`, or set IMAGEFLEET_API_KEY" in ended.stderr
    assert "imgk_a_b" not in ended.output


def test_a_key_is_read_from_the_environment(scripted: ScriptedServer) -> None:
    scripted.on("DELETE", IMAGE, status("cancelled", 2))
    env = {"IMAGEFLEET_URL": scripted.url, "IMAGEFLEET_API_KEY": "imgk_c_d"}
    assert CliRunner().invoke(main, ["cancel", ID], env=env).exit_code == 0
    assert scripted.requests[0].headers["authorization"] == "Bearer imgk_c_d"
