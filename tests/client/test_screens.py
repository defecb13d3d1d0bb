"""What people see: tables on terminals of any width and encoding, completion in a shell, questions without an echo."""

from __future__ import annotations

import fcntl
import os
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from tests.client.test_program import ENVIRONMENT
from tests.support.scripted_server import Reply, ScriptedServer
from tests.support.wire_answers import ID, NOW

PROGRAM = [sys.executable, "-m", "imagefleet"]
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def screen(words: list[str], width: int, answers: str = "", **env: str) -> str:
    """Everything that the command writes to a terminal that is `width` wide; `answers` are typed."""
    person, terminal = os.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, width, 0, 0))
    environment = {**ENVIRONMENT, "TERM": "xterm", **env}
    environment.pop("COLUMNS", None)
    process = subprocess.Popen(
        [*PROGRAM, *words], stdin=terminal, stdout=terminal, stderr=terminal, env=environment, start_new_session=True
    )
    os.close(terminal)
    shown = b""
    typed = answers.encode()
    while True:
        try:
            piece = os.read(person, 65_536)
        except OSError:  # the terminal is closed
            break
        if not piece:
            break
        shown += piece
        if typed and shown.rstrip().endswith(b":"):
            os.write(person, typed)
            typed = b""
    process.wait(30)
    os.close(person)
    return shown.decode(errors="replace").replace("\r\n", "\n")


@pytest.fixture
def listed(scripted: ScriptedServer) -> ScriptedServer:
    used = {
        "model": "dall-e-3",
        "width": 1024,
        "height": 768,
        "prompt": "ein Käfer im Schnee \x1b[31m" + "und Eis " * 40,
    }
    page = {"requestId": ID, "status": "failed", "progress": 7, "createdAt": NOW, "metadata": used}
    scripted.on("GET", "/api/images", Reply({"images": [page]}))
    return scripted


@pytest.mark.parametrize(
    ("width", "titles"),
    [
        (40, []),
        (64, ["ID", "STATUS", "PROMPT"]),
        (80, ["ID", "CREATED", "STATUS", "%", "PROMPT"]),
        (160, ["ID", "CREATED", "STATUS", "%", "MADE WITH", "PROMPT"]),
    ],
)
def test_a_table_is_as_wide_as_the_terminal(listed: ScriptedServer, width: int, titles: list[str]) -> None:
    shown = ESCAPES.sub("", screen(["list", "--server", listed.url], width, PYTHONIOENCODING="utf-8"))
    lines = shown.splitlines()
    assert max(len(line) for line in lines) <= width
    assert ID in shown.replace("\n", "")
    assert "ein Käfer" in shown
    if titles:
        assert [each.strip() for each in re.split(r"\s{2,}", lines[0].strip())] == titles
        assert (len(lines), lines[1][-1]) == (2, "…")
    else:
        assert ("STATUS: failed" in lines, "%: 7" in lines) == (True, True)


def test_colours_are_shown_unless_no_color_is_set(listed: ScriptedServer) -> None:
    words = ["list", "--server", listed.url]
    assert "\x1b[31mfailed" in screen(words, 160)
    plain = screen(words, 160, NO_COLOR="1")
    assert "\x1b[31m" not in plain
    assert "failed" in plain


def test_a_table_suits_a_terminal_without_unicode(listed: ScriptedServer) -> None:
    shown = screen(["list", "--server", listed.url], 160, PYTHONIOENCODING="ascii", LC_ALL="C")
    assert shown.isascii()
    assert r"ein K\xe4fer" in shown
    assert "Traceback" not in shown


def test_a_key_is_asked_for_without_an_echo(scripted: ScriptedServer, tmp_path: Path) -> None:
    scripted.on("GET", "/api/images", Reply({"images": []}))
    env = {"IMAGEFLEET_CONFIG_DIR": str(tmp_path), "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring"}
    shown = screen(["login", scripted.url], 200, "imgk_secret\n", **env)
    assert f"Key for {scripted.url} (empty if it requires none):" in shown
    assert "Logged in to" in shown
    assert "imgk_secret" not in shown
    assert scripted.requests[0].headers["authorization"] == "Bearer imgk_secret"


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("imagefleet ge", {"generate", "get"}),
        ("imagefleet webhooks r", {"redeliver", "rotate"}),
        ("imagefleet generate --pri", {"--priority"}),
        ("imagefleet generate --priority i", {"idle"}),
        ("imagefleet completion f", {"fish"}),
    ],
)
def test_bash_completes_commands_options_and_values(tmp_path: Path, typed: str, found: set[str]) -> None:
    program = tmp_path / "imagefleet"
    program.write_text(f"#!{sys.executable}\nfrom imagefleet.cli import main\nmain()\n")
    program.chmod(0o755)
    words = typed.split(" ")
    script = (
        'eval "$(imagefleet completion bash)"\n'
        f"COMP_WORDS=({' '.join(words)}); COMP_CWORD={len(words) - 1}\n"
        "_imagefleet_completion imagefleet; printf '%s\\n' \"${COMPREPLY[@]}\"; complete -p imagefleet"
    )
    environment = {**ENVIRONMENT, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    ended = subprocess.run(["bash", "-c", script], check=True, capture_output=True, text=True, env=environment)
    *completions, registered = ended.stdout.splitlines()
    assert set(completions) == found
    assert registered.endswith("imagefleet")


@pytest.mark.parametrize(
    ("shell", "marked"), [("zsh", "#compdef imagefleet"), ("fish", "complete --no-files --command imagefleet")]
)
def test_there_is_a_script_for_other_shells(shell: str, marked: str) -> None:
    ended = subprocess.run([*PROGRAM, "completion", shell], check=True, capture_output=True, text=True, env=ENVIRONMENT)
    assert marked in ended.stdout
