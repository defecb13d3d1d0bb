"""The management command: results on stdout, one sentence for each error, secrets shown once."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import zipfile
from base64 import urlsafe_b64decode
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import redis
from click.testing import CliRunner, Result

from app import container
from app.db.engine import Database
from app.domain.errors import Unauthorized
from app.domain.webhooks import Target
from app.manage.__main__ import main
from tests.support import fakes
from tests.support.downloads import PNG
from tests.support.harness import PICTURE, Harness
from tests.support.redis import running_redis
from tests.support.service import ROOT
from tests.support.waiting import until

Run = Callable[..., Result]
KEY = re.compile(r"imgk_[0-9a-f]{16}_[0-9a-f]{64}\n")


@pytest.fixture
def run(database_url: str) -> Run:
    """A function that runs the command on a fresh database."""

    def invoke(*words: str, **env: str) -> Result:
        return CliRunner().invoke(main, words, env={"DATABASE_URL": database_url, **env})

    return invoke


def test_a_key_is_created_shown_once_listed_and_revoked(run: Run) -> None:
    assert run("create-user", "ann").exit_code == 0
    made = run("create-key", "ann", "--name", "laptop", "--days", "1", "--scope", "read")
    assert KEY.fullmatch(made.stdout)
    key_id, secret = made.stdout.strip().split("_")[1:]
    listed = run("list-keys", "--user", "ann").stdout
    assert re.fullmatch(rf"{key_id}  ann  read  valid until 20\S+Z  never used  laptop\n", listed)
    assert secret not in listed
    assert run("revoke-key", key_id).exit_code == 0
    assert "  revoked  " in run("list-keys").stdout


def test_a_key_is_rotated_with_an_overlap(run: Run) -> None:
    run("create-user", "olga", "--operator")
    old = run("create-key", "olga", "--scope", "admin", "--name", "laptop").stdout.split("_")[1]
    rotated = run("rotate-key", old, "--overlap", "2")
    assert KEY.fullmatch(rotated.stdout)
    new = rotated.stdout.split("_")[1]
    assert rotated.stderr == (
        f"The key {new} replaces the old one, which stays valid for 2 days at most. It cannot be shown again:\n"
    )
    lines = run("list-keys").stdout.splitlines()
    assert re.fullmatch(rf"{old}  olga  admin  valid until 20\S+Z  never used  laptop", lines[0])
    assert lines[1] == f"{new}  olga  admin  valid  never used  laptop"
    newest = run("rotate-key", new, "--overlap", "0", "--days", "30")
    assert "replaces the old one, which is revoked." in newest.stderr
    assert f"{new}  olga  admin  revoked  never used  laptop" in run("list-keys").stdout


def test_a_secret_may_be_given_as_a_whole_and_is_never_printed(run: Run) -> None:
    run("create-user", "ann")
    key = run("create-key", "ann").stdout.strip()
    token = run("create-extension-token", "painter").stdout.strip()
    rotated = run("rotate-key", key)
    answers = [
        rotated,
        run("revoke-key", rotated.stdout.strip()),
        run("revoke-extension-token", token),
        run("revoke-key", token),
        run("revoke-extension-token", key),
    ]
    assert [each.exit_code for each in answers] == [0, 0, 0, 1, 1]
    assert "This is an extension's token." in answers[3].stderr
    assert "This is an API key." in answers[4].stderr
    for secret in (key, token):
        assert all(secret.split("_")[2] not in each.output for each in answers)
    assert "  revoked  " in run("list-keys").stdout
    assert "  revoked  " in run("list-extension-tokens").stdout


def test_the_redis_that_make_run_has_started_is_found_by_its_socket(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "data" / "redis"
    folder.mkdir(parents=True)
    with (
        tempfile.TemporaryDirectory() as short,
        running_redis(Path(short)) as server,
        redis.from_url(server.url) as client,
    ):
        (folder / "redis.sock").symlink_to(server.socket)
        assert run("pause", "--model", "flux", REDIS_URL="").exit_code == 0
        assert run("resume", "--model", "flux", REDIS_URL="").exit_code == 0
        until(client.keys, what="the hand-off to be requested")


def test_an_empty_list_says_so(run: Run) -> None:
    for command, message in (
        ("list-users", "There are no users."),
        ("list-keys", "There are no keys."),
        ("list-extension-tokens", "There are no tokens of extensions."),
    ):
        ended = run(command)
        assert (ended.exit_code, ended.stdout, ended.stderr) == (0, "", f"{message}\n")


def test_a_database_that_did_not_exist_is_mentioned_once(tmp_path: Path) -> None:
    file = tmp_path / "new" / "imagefleet.db"
    first, second = (CliRunner().invoke(main, ["list-users"], env={"DATABASE_URL": f"sqlite:///{file}"}) for _ in "12")
    assert first.stderr.startswith(
        f"Created the database {file}. If the service uses another one, set its DATABASE_URL."
    )
    assert second.stderr == "There are no users.\n"


def test_what_a_terminal_cannot_encode_is_escaped(run: Run, database_url: str) -> None:
    run("create-user", "ann")
    run("create-key", "ann", "--name", "Käfer 中")
    listed = CliRunner(charset="cp1252").invoke(main, ["list-keys"], env={"DATABASE_URL": database_url})
    assert listed.exit_code == 0
    assert listed.stdout.endswith("  Käfer \\u4e2d\n")


def test_tokens_are_created_for_users_and_extensions(run: Run) -> None:
    run("create-user", "olga", "--operator")
    assert run("create-key", "olga", "--scope", "admin").exit_code == 0
    assert run("issue-token", "olga", "--scope", "admin", "--minutes", "5").stdout.count(".") == 2
    assert run("issue-token", "painter", "--extension").stdout.count(".") == 2
    token = run("create-extension-token", "painter").stdout.strip()
    assert token.startswith("imgx_")
    assert run("revoke-extension-token", token.split("_")[1]).exit_code == 0


def test_a_pairing_code_contains_all_that_an_extension_needs(run: Run) -> None:
    made = run("create-extension-token", "ann-laptop", "--pairing", PUBLIC_URL="https://images.example/fleet/")
    assert made.stderr.startswith("The pairing code of the extension ann-laptop (token ")
    pairing = paired(made)
    assert pairing == {"server": "https://images.example/fleet", "extensionId": "ann-laptop", "token": pairing["token"]}
    assert re.fullmatch(r"imgx_[0-9a-f]{16}_[0-9a-f]{64}", pairing["token"])
    assert pairing["token"].split("_")[1] in run("list-extension-tokens").stdout


@pytest.mark.parametrize(
    ("env", "server"),
    [
        ({}, "http://localhost:3000"),
        ({"HOST": "0.0.0.0", "PORT": "8080"}, "http://localhost:8080"),
        ({"HOST": "192.0.2.7"}, "http://192.0.2.7:3000"),
        ({"HOST": "2001:db8::7"}, "http://[2001:db8::7]:3000"),
    ],
)
def test_a_pairing_code_contains_the_address_in_the_settings(run: Run, env: dict[str, str], server: str) -> None:
    made = run("create-extension-token", "painter", "--pairing", **env)
    assert paired(made)["server"] == server
    assert f"The service is not running; its address is assumed to be {server}." in made.stderr


def test_a_pairing_code_contains_the_address_of_the_running_service(
    run: Run, database: Database, tmp_path: Path
) -> None:
    harness = Harness.of(fakes.bench(database, tmp_path)).with_settings(port=8080)
    for hub in ("hub-1", "hub-2"):
        harness.services.extensions.hub_heartbeat(hub)
    made = run("create-extension-token", "painter", "--pairing")
    assert paired(made)["server"] == "http://localhost:8080"
    assert "is not running" not in made.stderr
    harness.expire_hub("hub-1")
    harness.expire_hub("hub-2")
    assert paired(run("create-extension-token", "painter", "--pairing"))["server"] == "http://localhost:3000"


def test_web_processes_with_different_addresses_leave_the_choice_to_the_operator(
    run: Run, database: Database, tmp_path: Path
) -> None:
    harness = Harness.of(fakes.bench(database, tmp_path))
    for hub, port in (("hub-1", 8080), ("hub-2", 8081)):
        harness.with_settings(port=port).services.extensions.hub_heartbeat(hub)
    refused = run("create-extension-token", "painter", "--pairing")
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "reached at http://localhost:8080 and at http://localhost:8081: choose one with --server" in refused.stderr
    assert run("list-extension-tokens").stdout == ""


def test_a_pairing_code_contains_the_address_that_was_given(run: Run) -> None:
    made = run("create-extension-token", "painter", "--pairing", "--server", "https://images.example/")
    assert paired(made)["server"] == "https://images.example"
    for words in (["--server", "https://images.example"], ["--pairing", "--server", "images.example"]):
        refused = run("create-extension-token", "painter", *words)
        assert (refused.exit_code, refused.stdout) == (2, "")


def paired(made: Result) -> dict[str, str]:
    assert made.exit_code == 0, made.stderr
    prefix, _, code = made.stdout.strip().partition(":")
    assert prefix == "imagefleet"
    pairing: dict[str, str] = json.loads(urlsafe_b64decode(code + "=="))
    return pairing


def test_users_are_disabled_enabled_and_listed(run: Run) -> None:
    run("create-user", "olga", "--operator")
    run("create-user", "ann")
    run("create-key", "ann")
    assert run("disable-user", "ann").stdout == "ann is disabled.\n"
    ann, olga = run("list-users").stdout.splitlines()
    assert re.fullmatch(r"ann  user  disabled 20\S+Z  1 key  standard", ann)
    assert olga == "olga  operator  active  0 keys  standard"
    assert "  disabled  " in run("list-keys").stdout
    assert run("enable-user", "ann").stdout == "ann is enabled.\n"
    assert run("list-users").stdout.splitlines()[0] == "ann  user  active  1 key  standard"


def test_a_signed_token_is_revoked_by_its_text(run: Run, database: Database, tmp_path: Path) -> None:
    run("create-user", "ann")
    token = run("issue-token", "ann").stdout.strip()
    assert re.fullmatch(r"The token \S+ is revoked.\n", run("revoke-token", token).stdout)
    with pytest.raises(Unauthorized, match="revoked"):
        container.build(fakes.bench(database, tmp_path).ports).access.authenticate(token)


def test_tokens_of_extensions_are_listed(run: Run) -> None:
    kept, gone = (run("create-extension-token", name).stdout.split("_")[1] for name in ("painter", "sculptor"))
    run("revoke-extension-token", gone)
    assert run("list-extension-tokens").stdout.splitlines() == [
        f"{kept}  painter  valid  never used",
        f"{gone}  sculptor  revoked  never used",
    ]
    assert run("list-extension-tokens", "--extension", "painter").stdout.count("\n") == 1


def test_the_fleet_is_printed_as_a_table(run: Run, database: Database, tmp_path: Path) -> None:
    nobody = run("list-extensions")
    assert (nobody.stdout, nobody.stderr) == ("", "No extension has ever connected.\n")
    harness = Harness.of(fakes.bench(database, tmp_path))
    for name in ("a-longer-name", "b"):
        harness.connect(name, "dall-e-3", max_concurrent=2)
    harness.services.extensions.disconnected("b-socket-1")
    harness.update_extension("a-longer-name", cooldown_until=2**42, cooldown_reason="\x1b[31mred", failures=2)
    head, first, second = run("list-extensions").stdout.splitlines()
    assert head.split() == [
        "EXTENSION",
        "STATUS",
        "SINCE",
        "LAST",
        "SEEN",
        "HOLDS",
        "VERSION",
        "CAPABILITIES",
        "NOTE",
    ]
    assert re.fullmatch(
        r"a-longer-name  paused  20\S+Z  20\S+Z  0/2    -        dall-e-3      "
        r"paused until 2109\S+Z: \?\[31mred; failures in a row: 2",
        first,
    )
    assert re.fullmatch(r"b              away    20\S+Z  20\S+Z  0/2    -        dall-e-3", second)
    assert "\nb " not in run("list-extensions", "--connected").stdout


def test_a_paused_extension_is_resumed(run: Run, database: Database, tmp_path: Path) -> None:
    harness = Harness.of(fakes.bench(database, tmp_path))
    harness.connect("painter")
    assert run("resume-extension", "painter").stdout == "The extension painter is not paused.\n"
    harness.update_extension("painter", cooldown_until=2**42, cooldown_reason="No recipe", failures=3)
    assert run("resume-extension", "painter").stdout.endswith("The extension painter is resumed.\n")
    assert " free " in run("list-extensions").stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["resume-extension", "nobody"], "No extension nobody has ever connected"),
        (["create-key", "nobody"], "There is no user nobody"),
        (["create-user", "a b"], "A user id has"),
        (["create-extension-token", "a b"], "An extensionId has"),
        (["issue-token", "nobody"], "There is no user nobody"),
        (["rotate-key", "none"], "There is no key with the id"),
        (["revoke-key", "none"], "There is no key with the id"),
        (["disable-user", "nobody"], "There is no user nobody"),
        (["enable-user", "nobody"], "There is no user nobody"),
        (["revoke-token", "a b"], "This is neither a signed token"),
        (["revoke-token", f"imgk_{'0' * 16}_{'0' * 64}"], "This is an API key"),
        (["revoke-extension-token", "none"], "There is no extension token with the id"),
    ],
)
def test_an_error_is_one_sentence(run: Run, arguments: Sequence[str], message: str) -> None:
    ended = run(*arguments)
    assert (ended.exit_code, ended.stdout) == (1, "")
    assert ended.stderr.startswith(f"Error: {message}")
    assert ended.stderr.count("\n") == 1


def test_the_error_names_an_unusable_setting(run: Run, tmp_path: Path) -> None:
    assert "JWT_SECRET" in run("list-keys", JWT_SECRET="short").stderr
    assert "DATABASE_URL" in run("list-keys", DATABASE_URL="nonsense").stderr


def test_the_program_creates_its_database(tmp_path: Path) -> None:
    def run(*words: str) -> str:
        env = {**os.environ, "DATABASE_URL": f"sqlite:///{tmp_path / 'new.db'}"}
        command = [sys.executable, "-m", "app.manage", *words]
        return subprocess.run(command, cwd=ROOT, env=env, check=True, capture_output=True, text=True).stdout

    run("create-user", "ann")
    assert KEY.fullmatch(run("create-key", "ann"))


def test_the_tier_of_a_user_is_set_when_the_user_is_created_and_later(run: Run) -> None:
    assert run("create-user", "ann", "--tier", "free").exit_code == 0
    assert run("list-users").stdout == "ann  user  active  0 keys  free\n"
    assert run("set-tier", "ann", "premium").stdout == "ann has the tier premium.\n"
    assert run("list-users").stdout == "ann  user  active  0 keys  premium\n"
    assert run("list-users", TIERS="other:1:normal:high").stdout == "ann  user  active  0 keys  other (premium)\n"
    assert run("set-tier", "ann").stdout == "ann has the usual tier.\n"
    assert run("list-users").stdout == "ann  user  active  0 keys  standard\n"


def test_only_tiers_of_the_settings_are_accepted(run: Run) -> None:
    for words in (("create-user", "ann", "--tier", "gold"), ("set-tier", "ann", "gold")):
        refused = run(*words)
        assert refused.exit_code == 1
        assert "There is no tier gold: those of TIERS are free, standard, premium." in refused.stderr
    assert "There is no user ann." in run("set-tier", "ann", "free").stderr


def said(result: Result) -> str:
    """The last line of the output; in tests, log lines come before it."""
    return result.stdout.splitlines()[-1]


def test_the_queue_is_paused_shown_and_resumed(run: Run) -> None:
    empty = run("queue").stdout
    assert empty.startswith("0 of 0 slots are busy; 0 requests were completed in the last 5 minutes.\n")
    assert "No request waits." in empty
    assert "Nothing is paused." in empty
    assert said(run("pause", "--note", "Repairs", "--until", "9999-01-01T00:00Z")) == "Paused: everything."
    assert said(run("pause", "--model", "FLUX")) == "Paused: model flux."
    assert said(run("pause", "--user", "ann")) == "Paused: user ann."
    listed = [line.split() for line in run("queue").stdout.splitlines()[-3:]]
    assert [line[0] for line in listed] == ["everything", "model", "user"]
    assert listed[0][-2:] == ["9999-01-01T00:00:00.000Z", "Repairs"]
    for words, what in (((), "everything"), (("--model", "flux"), "model flux"), (("--user", "ann"), "user ann")):
        assert said(run("resume", *words)) == f"Resumed: {what}."
        assert said(run("resume", *words)) == f"Not paused: {what}."


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--until", "tomorrow"), "--until tomorrow: it must be a time such as 2024-01-14T12:00."),
        (("--until", "2024-01-14T12:00Z"), "until must lie in the future"),
        (("--extension", "e1"), "No extension e1 has ever connected."),
        (("--drain",), "drain is for an extension"),
        (("--user", "a", "--model", "b"), "Use one of --model, --user and --extension"),
        (("--user", "a b"), "userId must be a string"),
    ],
)
def test_an_invalid_pause_is_refused_in_one_sentence(run: Run, words: Sequence[str], message: str) -> None:
    refused = run("pause", *words)
    assert refused.exit_code != 0
    assert message in refused.stderr
    assert "Nothing is paused." in run("queue").stdout


def test_a_drained_extension_is_listed_as_such(run: Run, database: Database, tmp_path: Path) -> None:
    Harness.of(fakes.bench(database, tmp_path)).connect("e1")
    assert said(run("pause", "--extension", "e1", "--drain", "--note", "A new profile")) == "Paused: extension e1."
    assert "  drained  " in run("list-extensions").stdout
    assert "paused by an operator: A new profile" in run("list-extensions").stdout
    assert "extension e1  drained  " in run("queue").stdout


def test_the_secret_of_a_webhook_is_rotated(run: Run, database: Database, tmp_path: Path) -> None:
    made = Harness.of(fakes.bench(database, tmp_path)).services.webhooks.create(
        "ann", Target("https://a.example/hooks")
    )
    webhook_id = made.endpoint.id
    assert run("list-webhooks", "ann").stdout == f"{webhook_id}  enabled  https://a.example/hooks\n"
    assert run("list-webhooks", "ben").stderr == "ben has no webhooks.\n"
    rotated = run("rotate-webhook-secret", webhook_id)
    assert re.fullmatch(r"whsec_[A-Za-z0-9+/]{43}=\n", rotated.stdout)
    assert rotated.stdout.strip() != made.secret
    assert "The previous one is valid until 20" in rotated.stderr
    account = run("rotate-webhook-secret", "ann", "--account")
    assert account.stdout.startswith("whsec_")
    assert account.stdout != rotated.stdout
    missing = run("rotate-webhook-secret", "nobody")
    assert (missing.exit_code, missing.stdout) == (1, "")
    assert "there is no webhook of this id" in missing.stderr


def test_the_storage_is_verified_with_a_status_that_says_the_result(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    name = "550e8400-e29b-41d4-a716-446655440000_1.png"
    (folder / name).write_bytes(b"x")
    env = {"IMAGE_STORAGE_PATH": str(folder)}
    found = run("verify-storage", **env)
    assert found.exit_code == 1
    assert found.stdout.splitlines()[0] == f"orphan  {name}"
    assert re.search(r"^orphan +0 +1$", found.stdout, re.MULTILINE)
    repaired = run("verify-storage", "--repair", "--deep", **env)
    assert (repaired.exit_code, list(folder.glob("*.png"))) == (0, [])
    assert run("verify-storage", **env).exit_code == 0


def test_a_user_is_exported_and_deleted(run: Run, database: Database, tmp_path: Path) -> None:
    harness = Harness.of(fakes.bench(database, tmp_path / "pictures"))
    harness.bench.fetch.answers[PICTURE] = PNG
    holder, job = harness.connect_and_start(user="ann")
    harness.report_image(holder, job)
    harness.run_downloads()
    [name] = harness.bench.files()
    env = {"IMAGE_STORAGE_PATH": str(tmp_path / "pictures")}
    run("create-user", "ann")
    secret = run("create-key", "ann").stdout.strip()
    out = tmp_path / "ann.zip"
    assert run("export-user", "ann", "--pictures", "--output", str(out), **env).exit_code == 0
    with zipfile.ZipFile(out) as found:
        assert found.testzip() is None
        [request] = map(json.loads, found.read("requests.jsonl").splitlines())
        assert (request["id"], request["prompt"]) == (job.id, "a fox")
        assert found.read(f"pictures/{name}").startswith(b"\x89PNG")
        assert not any(secret.split("_")[2].encode() in found.read(each) for each in found.namelist())
    assert "1 requests" in run("delete-user", "ann", "--with-pictures", "--yes", **env).stdout
    assert harness.bench.files() == []
    gone = run("export-user", "ann", **env)
    assert (gone.exit_code, gone.stderr) == (1, "Error: Nothing is stored about a user ann.\n")
