"""The command as a process: its imports, signals and output."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from imagefleet.extension import OPERATIONS
from tests.support.reference_extension import JOB, send_job
from tests.support.scripted_server import Reply, ScriptedServer
from tests.support.waiting import until
from tests.support.wire_answers import ID, IMAGE, STATUS, image, result, status

ENVIRONMENT = {
    **os.environ,
    "PYTHONPATH": str(Path(__file__).parents[2] / "client"),
    "IMAGEFLEET_CONFIG_DIR": "/nonexistent",
}


class Process:
    """A process of `python -m imagefleet` and its output so far."""

    def __init__(self, *words: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "imagefleet", *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=ENVIRONMENT,
        )
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def has_logged(self, words: str) -> bool:
        return any(words in line for line in list(self.lines))

    def end(self, number: signal.Signals) -> tuple[int, float]:
        """Send the signal; returns the exit code and how many seconds the end took."""
        began = time.monotonic()
        self.process.send_signal(number)
        code = self.process.wait(30)
        self._reader.join(10)
        return code, time.monotonic() - began

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip())
        self.process.stdout.close()


@contextmanager
def running(*words: str) -> Iterator[Process]:
    started = Process(*words)
    try:
        yield started
    finally:
        started.process.kill()
        started.process.wait(10)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_extension_runs_until_it_receives_a_signal(scripted: ScriptedServer, number: signal.Signals) -> None:
    scripted.on("GET", "/api/websocket/info", Reply({"url": scripted.ws_url}))
    options = ["--server", scripted.url, "--models", "sdxl, dall-e-3", "--concurrent", "2", "--step-ms", "0"]
    with running("extension", *options) as program:
        peer = scripted.sockets.next()
        introduction = peer.welcome()
        assert introduction["extensionId"].startswith("reference-")
        assert introduction["metadata"]["capabilities"] == ["image-generation", "sdxl", "dall-e-3", *OPERATIONS]
        send_job(peer)
        peer.receive("image_generated")
        peer.send("image_generation_confirmed", requestId=JOB, imagePath="/a.png", correlationId="c1")
        until(lambda: program.has_logged(f"job {JOB} is stored as /a.png"))
        code, took_s = program.end(number)
    assert (code, took_s < 2, peer.close_code) == (0, True, 1001)
    assert program.has_logged("stopped")
    assert not program.has_logged("Traceback")


def test_the_extension_stops_while_it_has_no_server() -> None:
    with running("extension", "--ws", "ws://127.0.0.1:1/ws") as program:
        until(lambda: program.has_logged("trying again"))
        code, took_s = program.end(signal.SIGTERM)
    assert (code, took_s < 2.5) == (0, True)


def test_ctrl_c_while_waiting_prints_how_to_continue(scripted: ScriptedServer) -> None:
    def hold(_: object) -> Reply:
        if len(scripted.requests) > 1:
            scripted.closing.wait(20)
        return status("processing", 1, progress=30)

    scripted.on("GET", STATUS, hold)
    with running("watch", ID, "--server", scripted.url) as program:
        until(lambda: program.has_logged("processing 30 %"))
        code, _ = program.end(signal.SIGINT)
    assert code == 130
    assert program.has_logged(f"`imagefleet watch {ID}` waits for it")
    assert not program.has_logged("Traceback")


def test_a_terminal_shows_a_progress_bar_and_a_pipe_only_the_result(scripted: ScriptedServer) -> None:
    inked = status("processing", 1, progress=30, message="[bold]Ink")
    scripted.on("GET", STATUS, inked, inked, inked, status("completed", 2))
    scripted.on("GET", IMAGE, result(images=[image("/generated-images/a.png")]))
    terminal, stderr = os.openpty()
    words = [sys.executable, "-m", "imagefleet", "watch", ID, "--server", scripted.url]
    ended = subprocess.run(
        words, check=True, stdout=subprocess.PIPE, stderr=stderr, text=True, env={**ENVIRONMENT, "TERM": "xterm"}
    )
    os.close(stderr)
    shown = os.read(terminal, 100_000).decode()
    os.close(terminal)
    assert ended.stdout == f"{scripted.url}/generated-images/a.png\n"
    assert "━" in shown
    assert "processing 30 % [bold]Ink" in shown


def test_what_a_terminal_cannot_encode_is_escaped(scripted: ScriptedServer) -> None:
    page = {"requestId": ID, "status": "completed", "metadata": {"prompt": "ein Käfer 中"}}
    scripted.on("GET", "/api/images", Reply({"images": [page]}))
    ended = subprocess.run(
        [sys.executable, "-m", "imagefleet", "list", "--server", scripted.url],
        check=True,
        capture_output=True,
        env={**ENVIRONMENT, "PYTHONIOENCODING": "cp1252"},
    )
    assert ended.stdout.decode("cp1252").rstrip().endswith(r"ein Käfer \u4e2d")
    assert ended.stderr == b""


def test_a_progress_bar_suits_a_terminal_without_unicode(scripted: ScriptedServer) -> None:
    inked = status("processing", 1, progress=30, message="Ink")
    scripted.on("GET", STATUS, inked, inked, status("completed", 2))
    scripted.on("GET", IMAGE, result(images=[image("/generated-images/a.png")]))
    terminal, stderr = os.openpty()
    words = [sys.executable, "-m", "imagefleet", "watch", ID, "--server", scripted.url]
    environment = {**ENVIRONMENT, "TERM": "xterm", "PYTHONIOENCODING": "cp1252"}
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL, stderr=stderr, env=environment)
    os.close(stderr)
    shown = os.read(terminal, 100_000)
    os.close(terminal)
    assert b"processing 30 % Ink" in shown
    assert shown.isascii()
    assert b"\\u" not in shown


@pytest.mark.parametrize(
    ("words", "redirected", "code", "said"),
    [
        (["list"], "| true", 141, ""),
        (["list", "--json"], "| head -c1 >/dev/null", 141, ""),
        (["list"], ">/dev/full", 6, "imagefleet: The output cannot be written: No space left on device.\n"),
        (["list", "--json"], ">/dev/full", 6, "imagefleet: The output cannot be written: No space left on device.\n"),
        (["nonsense"], "2>/dev/full", 2, ""),
        (["get", ID], "2>&-", 1, ""),
    ],
)
def test_output_that_nothing_takes_is_no_traceback(
    scripted: ScriptedServer, words: list[str], redirected: str, code: int, said: str
) -> None:
    page = {"requestId": ID, "status": "completed", "metadata": {"prompt": "a fox" * 100}}
    scripted.on("GET", "/api/images", Reply({"images": [page] * 100}))
    command = f"{sys.executable} -m imagefleet {' '.join(words)} --limit 100 --server {scripted.url} {redirected}"
    command = command if words[0] == "list" else command.replace("--limit 100", "")
    ended = subprocess.run(
        ["bash", "-c", f"{command}; exit ${{PIPESTATUS[0]}}"],
        check=False,
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
    )
    assert (ended.returncode, ended.stderr) == (code, said)


SLOW = {"rich", "httpx2", "pydantic", "websockets", "PIL", "keyring", "mcp", "yaml", "asyncio"}


def test_help_loads_nothing_slow() -> None:
    code = (
        "import sys\nfrom imagefleet.cli import COMMANDS, main\n"
        "for words in [], *([name] for name in COMMANDS):\n"
        "    main([*words, '--help'], standalone_mode=False)\n"
        f"print(sorted({SLOW!r} & set(sys.modules)))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
    )
    assert ended.stdout.splitlines()[-1] == "[]"


def test_nothing_of_posix_is_needed_to_start() -> None:
    code = (
        "import sys\nfor name in 'termios', 'fcntl', 'resource', 'pwd', 'grp', 'tty', 'pty':\n"
        "    sys.modules[name] = None\n"
        "from imagefleet.cli import main\nmain(['list', '--help'], standalone_mode=False)\n"
        "import imagefleet.client, imagefleet.output.progress_bar"
    )
    ended = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True, env=ENVIRONMENT)
    assert (ended.returncode, ended.stderr) == (0, "")
