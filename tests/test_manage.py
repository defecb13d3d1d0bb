"""What an operator does on the command line: results on stdout, a sentence for every refusal, a secret once."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from app.manage import main

Run = Callable[..., Result]
KEY = re.compile(r"imgk_[0-9a-f]{16}_[0-9a-f]{64}\n")


@pytest.fixture
def run(database_url: str) -> Run:
    """Runs the command on a database of the test's own."""

    def invoke(*words: str, **env: str) -> Result:
        return CliRunner().invoke(main, words, env={"DATABASE_URL": database_url, **env})

    return invoke


def test_a_key_is_made_shown_once_listed_and_revoked(run: Run) -> None:
    assert run("create-user", "ann").exit_code == 0
    made = run("create-key", "ann", "--name", "laptop", "--days", "1", "--scope", "read")
    assert KEY.fullmatch(made.stdout)
    key_id, secret = made.stdout.strip().split("_")[1:]
    listed = run("list-keys", "--user", "ann").stdout
    assert listed == f"{key_id}  ann  read  live  never used  laptop\n"
    assert secret not in listed
    assert run("revoke-key", key_id).exit_code == 0
    assert "  revoked  " in run("list-keys").stdout


def test_tokens_are_made_for_users_and_extensions(run: Run) -> None:
    run("create-user", "olga", "--operator")
    assert run("create-key", "olga", "--scope", "admin").exit_code == 0
    assert run("issue-token", "olga", "--scope", "admin", "--minutes", "5").stdout.count(".") == 2
    assert run("issue-token", "painter", "--extension").stdout.count(".") == 2
    token = run("create-extension-token", "painter").stdout.strip()
    assert token.startswith("imgx_")
    assert run("revoke-extension-token", token.split("_")[1]).exit_code == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["create-key", "nobody"], "There is no user nobody"),
        (["create-user", "a b"], "A user has"),
        (["create-extension-token", "a b"], "An extensionId has"),
        (["issue-token", "nobody"], "There is no user nobody"),
        (["revoke-key", "none"], "There is no key"),
        (["revoke-extension-token", "none"], "There is no extension token"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(run: Run, words: Sequence[str], said: str) -> None:
    ended = run(*words)
    assert (ended.exit_code, ended.stdout) == (1, "")
    assert ended.stderr.startswith(f"Error: {said}")
    assert ended.stderr.count("\n") == 1


def test_a_setting_that_cannot_be_used_is_named(run: Run, tmp_path: Path) -> None:
    assert "JWT_SECRET" in run("list-keys", JWT_SECRET="short").stderr
    assert "DATABASE_URL" in run("list-keys", DATABASE_URL="nonsense").stderr
