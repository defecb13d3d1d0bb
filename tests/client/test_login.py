"""Logging in: a key is tried before it is kept, in the keyring or a file of its owner, and is sent to its server only."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.ports import free_port
from tests.support.scripted_server import RecordedRequest, Reply, ScriptedServer, refusal

ROOT = Path(__file__).parents[2]
KEY = "imgk_abc_secret"
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs the command with a keyring and profiles of its own."""
    (tmp_path / "keyring").write_text("{}")
    env = {
        **os.environ,
        "PYTHONPATH": f"{ROOT}:{ROOT / 'client'}",
        "IMAGEFLEET_CONFIG_DIR": str(tmp_path / "profiles"),
        "PYTHON_KEYRING_BACKEND": "tests.support.keyring_in_a_file.FileKeyring",
        "KEYRING_FILE": str(tmp_path / "keyring"),
    }

    def run(*words: str, stdin: str = "", **more: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "imagefleet", *words]
        return subprocess.run(command, check=False, capture_output=True, text=True, input=stdin, env={**env, **more})

    return run


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    return tmp_path / "profiles" / "profiles.json"


@pytest.fixture
def server(scripted: ScriptedServer) -> ScriptedServer:
    def answer(request: RecordedRequest) -> Reply:
        if request.headers.get("authorization") != f"Bearer {KEY}":
            return refusal(401, "ERR_UNAUTHORIZED", "This API key is invalid.")
        return Reply({"images": []})

    scripted.on("GET", "/api/images", answer)
    return scripted


def keys_sent(server: ScriptedServer) -> list[str | None]:
    return [each.headers.get("authorization") for each in server.requests]


def test_the_key_is_kept_in_the_keyring_and_used_from_then_on(
    run: Run, server: ScriptedServer, kept: Path, tmp_path: Path
) -> None:
    ended = run("login", server.url, stdin=f"{KEY}\n")
    assert (ended.returncode, ended.stdout) == (0, "")
    assert ended.stderr == f"Logged in to {server.url}; the key is in the keyring.\n"
    assert KEY not in kept.read_text()
    assert json.loads((tmp_path / "keyring").read_text()) == {"imagefleet/default": KEY}
    assert run("list").returncode == 0
    assert keys_sent(server) == [f"Bearer {KEY}"] * 2
    assert run("logout").stderr == f"Logged out of {server.url}.\n"
    assert json.loads((tmp_path / "keyring").read_text()) == {}
    assert run("logout").returncode == 2


@pytest.mark.parametrize(
    ("words", "backend", "said"),
    [
        (["--no-keyring"], "tests.support.keyring_in_a_file.FileKeyring", "the key is in {file}."),
        ([], "keyring.backends.fail.Keyring", "the key is in {file}, since there is no keyring that takes it."),
        ([], "keyring.backends.null.Keyring", "the key is in {file}, since there is no keyring that takes it."),
        ([], "no.such.Keyring", "the key is in {file}, since there is no keyring that takes it."),
    ],
)
def test_without_a_keyring_the_key_is_in_a_file_that_only_its_owner_can_read(
    run: Run, server: ScriptedServer, kept: Path, words: list[str], backend: str, said: str
) -> None:
    ended = run("login", server.url, *words, stdin=KEY, PYTHON_KEYRING_BACKEND=backend)
    assert (ended.returncode, ended.stderr.rpartition("; ")[2]) == (0, said.format(file=kept) + "\n")
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert run("list", PYTHON_KEYRING_BACKEND=backend).returncode == 0
    assert keys_sent(server)[-1] == f"Bearer {KEY}"


def test_a_key_that_the_server_refuses_is_not_kept(run: Run, server: ScriptedServer, kept: Path) -> None:
    ended = run("login", server.url, stdin="imgk_wrong")
    assert ended.returncode == 1
    assert "This API key is invalid." in ended.stderr
    assert not kept.exists()


def test_a_key_that_may_only_submit_is_kept(run: Run, scripted: ScriptedServer, kept: Path) -> None:
    scripted.on("GET", "/api/images", refusal(403, "ERR_FORBIDDEN", "The key lacks the scope read."))
    assert run("login", scripted.url, stdin=KEY).returncode == 0
    assert kept.exists()


def test_a_profile_is_chosen_by_option_or_environment(run: Run, server: ScriptedServer) -> None:
    assert run("login", server.url, "--profile", "work", stdin=KEY).returncode == 0
    nowhere = f"http://127.0.0.1:{free_port()}"
    assert run("list", "--profile", "work", IMAGEFLEET_URL=nowhere, IMAGEFLEET_API_KEY="imgk_other").returncode == 0
    assert run("list", IMAGEFLEET_PROFILE="work").returncode == 0
    assert run("list", IMAGEFLEET_PROFILE="work", IMAGEFLEET_API_KEY="imgk_other").returncode == 1
    assert keys_sent(server)[1:] == [f"Bearer {KEY}", f"Bearer {KEY}", "Bearer imgk_other"]
    unknown = run("list", "--profile", "play")
    assert unknown.returncode == 2
    assert (
        "There is no profile 'play'. There is work. Make it with `imagefleet login --profile play`." in unknown.stderr
    )


def test_the_key_of_a_profile_is_sent_to_its_own_server_only(run: Run, server: ScriptedServer) -> None:
    assert run("login", server.url, stdin=KEY).returncode == 0
    with ScriptedServer() as other:
        other.on("GET", "/api/images", Reply({"images": []}))
        assert run("list", "--server", other.url).returncode == 0
        assert run("list", IMAGEFLEET_URL=other.url).returncode == 0
        assert run("list", "--profile", "default", "--server", other.url).returncode == 0
        assert keys_sent(other) == [None] * 3
    assert run("list", "--server", f"{server.url}/").returncode == 0
    assert keys_sent(server)[-1] == f"Bearer {KEY}"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "cannot be understood: correct the file, or remove it and log in again."),
        ('{"profiles": [1]}', "cannot be understood"),
        ('{"profiles": {"default": {"server": 5}}}', "cannot be understood"),
        ('{"profiles": {"default": {"server": "nonsense"}}}', "is not a server's address"),
        ('{"profiles": {"default": {"server": "http://a", "keyIn": "file", "key": "ü"}}}', "invalid characters"),
        (None, "cannot be read: Is a directory"),
    ],
)
def test_profiles_that_cannot_be_read_are_one_sentence(run: Run, kept: Path, content: str | None, said: str) -> None:
    kept.parent.mkdir()
    if content is None:
        kept.mkdir()
    else:
        kept.write_text(content)
    ended = run("list")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_keyring_that_is_locked_is_one_sentence(run: Run, server: ScriptedServer, tmp_path: Path) -> None:
    assert run("login", server.url, stdin=KEY).returncode == 0
    (tmp_path / "keyring").unlink()
    ended = run("list")
    assert ended.returncode == 2
    assert ended.stderr.splitlines()[-1] == (
        "Error: The keyring does not give the key of profile 'default': The keyring is locked. "
        "Unlock it, set IMAGEFLEET_API_KEY, or log in again with --no-keyring."
    )
    assert run("list", IMAGEFLEET_API_KEY=KEY).returncode == 0


def test_profiles_that_cannot_be_written_are_one_sentence(run: Run, server: ScriptedServer, kept: Path) -> None:
    kept.parent.write_text("in the way")
    ended = run("login", server.url, stdin=KEY)
    assert ended.returncode in (2, 6)
    assert str(kept.parent) in ended.stderr
    assert "Traceback" not in ended.stderr
