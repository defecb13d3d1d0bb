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
# Without it an unpacked extension is disabled after a restart of the browser.
PREFERENCES = {"extensions": {"ui": {"developer_mode": True}}}
# The flag in the profile of extensions that DevTools loaded: the browser drops them at its next start.
DROPPED_AT_RESTART = 0x8000
ANSWER_S = 60.0
READ_STATUS = "await (await import('/shared/status.js')).read()"


def unpacked(folder: Path, server: str | None = None, **manifest: Any) -> Path:
    """Make a copy of the files of the published extension, with these fields of its manifest changed.

    A headless browser shows no permission prompts: if a test needs a permission, the manifest of the copy requires it.
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
    """The DevTools protocol over two pipes: any thread may call, responses arrive in any order, events are dropped."""

    def __init__(self, read: int, write: int) -> None:
        self._read, self._write = read, write
        self._numbers = itertools.count(1)
        self._answers: dict[int, Any] = {}
        self._changed = threading.Condition()
        self._closed = False
        threading.Thread(target=self._listen, name="devtools", daemon=True).start()

    def call(self, method: str, params: Mapping[str, Any] | None = None, session: str | None = None) -> Any:
        """The result of one command. Raises AssertionError with the browser's error text if it refuses."""
        number = next(self._numbers)
        command = {"id": number, "method": method, "params": dict(params or {})}
        if session is not None:
            command["sessionId"] = session
        with self._changed:
            os.write(self._write, json.dumps(command).encode() + b"\0")
            arrived = self._changed.wait_for(lambda: number in self._answers or self._closed, ANSWER_S)
            assert arrived, f"{method} was not answered"
            answer = self._answers.pop(number, {"error": "the browser has ended"})
        assert "error" not in answer, f"{method}: {answer['error']}"
        return answer["result"]

    def close(self) -> None:
        """Close the writing end."""
        with suppress(OSError):
            os.close(self._write)

    def _listen(self) -> None:
        with os.fdopen(self._read, "rb", buffering=0) as stream:
            rest = b""
            while piece := stream.read(1 << 20):
                *messages, rest = (rest + piece).split(b"\0")
                for message in map(json.loads, messages):
                    self._receive(message)
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _receive(self, message: dict[str, Any]) -> None:
        if "id" in message:
            with self._changed:
                self._answers[message["id"]] = message
                self._changed.notify_all()


class Page:
    """A tab with a debugger attached. A `with` block closes it at its end."""

    def __init__(self, pipe: Pipe, target: str, session: str) -> None:
        self._pipe, self.target, self._session = pipe, target, session

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def call(self, method: str, **params: Any) -> Any:
        """Send a command of the protocol to this tab."""
        return self._pipe.call(method, params, self._session)

    def evaluate(self, script: str) -> Any:
        """The value of the script; promises are awaited. Raises AssertionError if the script throws."""
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
    """A browser whose profile is in `folder` and survives restarts, as does the extension after `install`."""

    def __init__(self, folder: Path, extension: Path) -> None:
        self.folder = folder
        self.extension = extension
        self.extension_id = ""
        self._preferences = folder / "profile" / "Default" / "Preferences"
        self._program = chromium_or_skip()
        self._process: subprocess.Popen[bytes] | None = None
        self._pipe: Pipe | None = None
        self._scratch: tempfile.TemporaryDirectory[str] | None = None
        self._script_page: Page | None = None

    def start(self) -> None:
        """Start the browser. The first start loads the extension; later ones find it in the profile after `install`."""
        self._script_page = None
        self._launch()
        if not self.extension_id:
            self.extension_id = self.pipe.call("Extensions.loadUnpacked", {"path": str(self.extension)})["id"]

    def reinstall(self) -> None:
        """Remove the extension with all it has stored, and load it again: cheaper than a new browser."""
        self._script_page = None
        self.pipe.call("Extensions.uninstall", {"id": self.extension_id})
        self.extension_id = self.pipe.call("Extensions.loadUnpacked", {"path": str(self.extension)})["id"]

    def install(self) -> None:
        """Make the extension survive restarts; this restarts the browser."""
        self.close()
        profile = json.loads(self._preferences.read_text())
        profile["extensions"]["settings"][self.extension_id]["creation_flags"] &= ~DROPPED_AT_RESTART
        self._preferences.write_text(json.dumps(profile))
        self.start()

    def allow_at_run_time(self, *hosts: str) -> None:
        """Let the extension's next requests for these hosts succeed, as if a person answered the prompt with Allow.

        A headless browser shows no prompts, but asks only once: the hosts are stored as allowed before and given up. This
        makes the extension survive restarts, and restarts the browser.
        """
        self.close()
        profile = json.loads(self._preferences.read_text())
        entry = profile["extensions"]["settings"][self.extension_id]
        entry["creation_flags"] &= ~DROPPED_AT_RESTART
        for known in ("granted_permissions", "runtime_granted_permissions"):
            none: dict[str, list[str]] = {"api": [], "manifest_permissions": [], "scriptable_host": []}
            entry[known] = {**none, **entry.get(known, {}), "explicit_host": list(hosts)}
        self._preferences.write_text(json.dumps(profile))
        self.start()

    @property
    def pipe(self) -> Pipe:
        """The connection to the browser while it runs."""
        assert self._pipe is not None, "the browser is not running"
        return self._pipe

    def open(self, address: str) -> Page:
        """Open a tab at an address, or at a path inside the extension."""
        url = address if "://" in address else f"chrome-extension://{self.extension_id}/{address.lstrip('/')}"
        target = self.pipe.call("Target.createTarget", {"url": url})["targetId"]
        session = self.pipe.call("Target.attachToTarget", {"targetId": target, "flatten": True})["sessionId"]
        page = Page(self.pipe, target, session)
        loaded = f"location.href.startsWith({json.dumps(url.split('?')[0])}) && document.readyState === 'complete'"

        def is_loaded() -> bool:
            with suppress(AssertionError):  # there is no document during navigation
                return bool(page.evaluate(loaded))
            return False

        until(is_loaded, 20, url)
        return page

    def evaluate(self, script: str) -> Any:
        """The value of a script, run in a page of the extension that stays open for scripts."""
        if self._script_page is None:
            self._script_page = self.open("manifest.json")
        return self._script_page.evaluate(script)

    def save(self, **settings: Any) -> None:
        """Save settings of the extension as its pages do."""
        self.evaluate(f"await (await import('/shared/settings.js')).save({json.dumps(settings)}); 0")

    def status(self) -> Any:
        """The status that the extension reports."""
        return self.evaluate(READ_STATUS)

    def until_status(self, condition: str, timeout_s: float = 20.0) -> Any:
        """Wait until a JavaScript condition on `status` holds; returns the status."""
        try:
            return until(
                lambda: self.evaluate(f"(status => ({condition}) && status)({READ_STATUS})"), timeout_s, condition
            )
        except AssertionError as error:
            raise AssertionError(f"{error}; the status is {self.status()}") from None

    @property
    def workers(self) -> list[str]:
        """The target ids of the extension's worker; empty while Chrome has stopped it."""
        targets = self.pipe.call("Target.getTargets")["targetInfos"]
        return [each["targetId"] for each in targets if each["type"] == "service_worker"]

    def kill_worker(self) -> None:
        """Stop the extension's worker as Chrome does when it is idle."""
        for target in self.workers:
            self.pipe.call("Target.closeTarget", {"targetId": target})
        until(lambda: not self.workers, what="the worker to stop")

    def kill(self) -> None:
        """Kill the browser without a shutdown."""
        self._end(signal.SIGKILL)

    def close(self) -> None:
        """Close the browser regularly."""
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

        def set_up_pipes() -> None:
            # Via unused descriptors, because one of the pipes may itself have the number 3 or 4.
            os.dup2(to_read, 200)
            os.dup2(from_write, 201)
            os.dup2(200, 3)
            os.dup2(201, 4)
            os.close(200)
            os.close(201)
            end_with_parent(parent)

        # Chromium creates a socket here whose path may have at most 107 characters, and does not remove it.
        self._scratch = tempfile.TemporaryDirectory(prefix="imagefleet-", ignore_cleanup_errors=True)
        sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
        with (self.folder / "chromium.log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._program, *FLAGS, *sandbox, f"--user-data-dir={self._preferences.parents[1]}", "about:blank"],
                env={**os.environ, "TMPDIR": self._scratch.name},
                preexec_fn=set_up_pipes,  # noqa: PLW1509 - a few system calls, and no lock
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
    """Run a browser with a new profile and a copy of the extension, configured for `server` if one is given."""
    folder.mkdir(parents=True, exist_ok=True)
    browser = Chromium(folder, unpacked(folder / "extension", server, **manifest))
    try:
        browser.start()
        yield browser
    finally:
        browser.close()
