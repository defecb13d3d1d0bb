"""A real headless Chromium with the extension in it, driven over a pipe by the DevTools protocol.

Nothing is ever attached to the extension's worker: a debugger there would keep it alive for ever.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from app.launch.parent_death import end_with_parent
from app.web.archive import SHIPPED
from tests.support.browser import chromium_or_skip
from tests.support.waiting import until

EXTENSION = Path(__file__).resolve().parents[2] / "extension"
FLAGS = (
    "--headless=new",
    "--remote-debugging-pipe",
    "--enable-unsafe-extension-debugging",
    "--no-first-run",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--password-store=basic",
)
# Without it an extension that was loaded unpacked is switched off when the browser comes back.
PREFERENCES = {"extensions": {"ui": {"developer_mode": True}}}
# In a profile, the mark of extensions that DevTools loaded: the next start of the browser forgets them.
UNTIL_THE_END = 0x8000
ANSWER_S = 60.0


def unpacked(folder: Path, server: str | None = None, **manifest: Any) -> Path:
    """A copy of the extension as people get it, with these fields of its manifest changed.

    Prompts for permissions cannot be shown here: where a test needs a permission, the copy's manifest has it granted.
    """
    shutil.copytree(
        EXTENSION, folder, ignore=lambda at, names: set(names) - set(SHIPPED) if at == str(EXTENSION) else ()
    )
    path = folder / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **manifest}))
    if server is not None:
        (folder / "server.json").write_text(json.dumps({"server": server}))
    return folder


class Pipe:
    """The DevTools protocol over two pipes: calls by any thread, answered in any order. Events are dropped."""

    def __init__(self, read: int, write: int) -> None:
        self._read, self._write = read, write
        self._numbers = itertools.count(1)
        self._answers: dict[int, Any] = {}
        self._news = threading.Condition()
        self._closed = False
        threading.Thread(target=self._listen, name="devtools", daemon=True).start()

    def call(self, method: str, params: Mapping[str, Any] | None = None, session: str | None = None) -> Any:
        """The result of one command. Raises AssertionError with the browser's error text if it refuses."""
        number = next(self._numbers)
        command = {"id": number, "method": method, "params": dict(params or {})}
        if session is not None:
            command["sessionId"] = session
        with self._news:
            os.write(self._write, json.dumps(command).encode() + b"\0")
            arrived = self._news.wait_for(lambda: number in self._answers or self._closed, ANSWER_S)
            assert arrived, f"{method} was not answered"
            answer = self._answers.pop(number, {"error": "the browser is gone"})
        assert "error" not in answer, f"{method}: {answer['error']}"
        return answer["result"]

    def close(self) -> None:
        """Let go of it."""
        with suppress(OSError):
            os.close(self._write)

    def _listen(self) -> None:
        with os.fdopen(self._read, "rb", buffering=0) as stream:
            rest = b""
            while piece := stream.read(1 << 20):
                *messages, rest = (rest + piece).split(b"\0")
                for message in map(json.loads, messages):
                    self._hear(message)
        with self._news:
            self._closed = True
            self._news.notify_all()

    def _hear(self, message: dict[str, Any]) -> None:
        if "id" in message:
            with self._news:
                self._answers[message["id"]] = message
                self._news.notify_all()


class Page:
    """A tab, with a debugger attached. Use it in a `with` to have it closed."""

    def __init__(self, pipe: Pipe, target: str, session: str) -> None:
        self._pipe, self.target, self._session = pipe, target, session

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def call(self, method: str, **params: Any) -> Any:
        """A command of the protocol to this tab."""
        return self._pipe.call(method, params, self._session)

    def evaluate(self, script: str) -> Any:
        """What the script comes to; promises are awaited. Raises AssertionError where it throws."""
        result = self.call(
            "Runtime.evaluate",
            expression=script,
            awaitPromise=True,
            returnByValue=True,
            userGesture=True,
            replMode=True,
        )
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    def until(self, script: str, timeout_s: float = 20.0) -> Any:
        """Poll the script until its value is truthy, and return that."""
        return until(lambda: self.evaluate(script), timeout_s, script)

    def close(self) -> None:
        """Close the tab."""
        self._pipe.call("Target.closeTarget", {"targetId": self.target})


class Chromium:
    """One browser with a profile in `folder`, which it keeps over restarts; so it does with the extension once `install`ed."""

    def __init__(self, folder: Path, extension: Path) -> None:
        self.folder = folder
        self.extension = extension
        self.extension_id = ""
        self._preferences = folder / "profile" / "Default" / "Preferences"
        self._program = chromium_or_skip()
        self._process: subprocess.Popen[bytes] | None = None
        self._pipe: Pipe | None = None
        self._scratch: tempfile.TemporaryDirectory[str] | None = None

    def start(self) -> None:
        """Start it; the extension is loaded the first time, and is there by itself after that."""
        self._launch()
        if not self.extension_id:
            self.extension_id = self.pipe.call("Extensions.loadUnpacked", {"path": str(self.extension)})["id"]

    def reinstall(self) -> None:
        """Remove the extension with all it has stored, and load it again: cheaper than a new browser."""
        self.pipe.call("Extensions.uninstall", {"id": self.extension_id})
        self.extension_id = self.pipe.call("Extensions.loadUnpacked", {"path": str(self.extension)})["id"]

    def install(self) -> None:
        """Keep the extension installed over restarts. It takes a restart of the browser."""
        self.close()
        profile = json.loads(self._preferences.read_text())
        profile["extensions"]["settings"][self.extension_id]["creation_flags"] &= ~UNTIL_THE_END
        self._preferences.write_text(json.dumps(profile))
        self.start()

    @property
    def pipe(self) -> Pipe:
        """The way to it while it runs."""
        assert self._pipe is not None, "the browser does not run"
        return self._pipe

    def open(self, address: str) -> Page:
        """Open a tab at an address, or at a path inside the extension."""
        url = address if "://" in address else f"chrome-extension://{self.extension_id}/{address.lstrip('/')}"
        target = self.pipe.call("Target.createTarget", {"url": url})["targetId"]
        session = self.pipe.call("Target.attachToTarget", {"targetId": target, "flatten": True})["sessionId"]
        page = Page(self.pipe, target, session)
        there = f"location.href.startsWith({json.dumps(url.split('?')[0])}) && document.readyState === 'complete'"

        def is_there() -> bool:
            with suppress(AssertionError):  # between two documents there is none to ask
                return bool(page.evaluate(there))
            return False

        until(is_there, 20, url)
        return page

    def evaluate(self, script: str) -> Any:
        """What a script comes to in a page of the extension that is opened for it alone."""
        with self.open("pages/popup.html") as page:
            return page.evaluate(script)

    def save(self, **settings: Any) -> None:
        """Change settings of the extension as its pages do."""
        self.evaluate(f"await (await import('/shared/settings.js')).save({json.dumps(settings)}); 0")

    def status(self) -> Any:
        """The status that the extension reports."""
        return self.evaluate("await (await import('/shared/status.js')).read()")

    def until_status(self, condition: str, timeout_s: float = 20.0) -> Any:
        """Wait until a condition over `status`, in JavaScript, holds; the status then."""
        script = f"(status => ({condition}) && status)(await (await import('/shared/status.js')).read())"
        with self.open("pages/popup.html") as page:
            try:
                return page.until(script, timeout_s)
            except AssertionError as error:
                shown = page.evaluate("await (await import('/shared/status.js')).read()")
                raise AssertionError(f"{error}; the status is {shown}") from None

    @property
    def workers(self) -> list[str]:
        """The target ids of the extension's worker: none while Chrome has ended it."""
        targets = self.pipe.call("Target.getTargets")["targetInfos"]
        return [each["targetId"] for each in targets if each["type"] == "service_worker"]

    def kill_worker(self) -> None:
        """End the extension's worker as Chrome does."""
        for target in self.workers:
            self.pipe.call("Target.closeTarget", {"targetId": target})
        until(lambda: not self.workers, what="the worker to be gone")

    def kill(self) -> None:
        """End the browser without warning it."""
        self._end(signal.SIGKILL)

    def close(self) -> None:
        """Have the browser end itself."""
        if self._process is None:
            return
        with suppress(AssertionError, OSError):
            self.pipe.call("Browser.close")
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(20)
        self._end(signal.SIGKILL)

    def _launch(self) -> None:
        if not self._preferences.exists():
            self._preferences.parent.mkdir(parents=True)
            self._preferences.write_text(json.dumps(PREFERENCES))
        to_read, to_write = os.pipe()
        from_read, from_write = os.pipe()
        parent = os.getpid()

        def arrange() -> None:
            # By way of numbers that neither pipe has: one of them may be 3 or 4 itself.
            os.dup2(to_read, 200)
            os.dup2(from_write, 201)
            os.dup2(200, 3)
            os.dup2(201, 4)
            os.close(200)
            os.close(201)
            end_with_parent(parent)

        # It puts a socket there, whose path may have 107 characters, and leaves it behind.
        self._scratch = tempfile.TemporaryDirectory(prefix="imagefleet-", ignore_cleanup_errors=True)
        sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
        with (self.folder / "chromium.log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._program, *FLAGS, *sandbox, f"--user-data-dir={self._preferences.parents[1]}", "about:blank"],
                env={**os.environ, "TMPDIR": self._scratch.name},
                preexec_fn=arrange,  # noqa: PLW1509 - a few system calls, and no lock
                close_fds=False,
                start_new_session=True,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        os.close(to_read)
        os.close(from_write)
        self._pipe = Pipe(from_read, to_write)

    def _end(self, number: int) -> None:
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)
            self._process.wait(20)
        if self._pipe is not None:
            self._pipe.close()
        if self._scratch is not None:
            self._scratch.cleanup()
        self._process = self._pipe = self._scratch = None


@contextmanager
def running_chromium(folder: Path, server: str | None = None, **manifest: Any) -> Iterator[Chromium]:
    """A browser with a new profile and a copy of the extension, which knows the server where one is given."""
    folder.mkdir(parents=True, exist_ok=True)
    browser = Chromium(folder, unpacked(folder / "extension", server, **manifest))
    try:
        browser.start()
        yield browser
    finally:
        browser.close()
