"""Importing the library: cheap, complete, and possible on every system."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import imagefleet
from imagefleet import errors, models

CLIENT = Path(__file__).parents[2] / "client"
# What Windows does not have.
POSIX_ONLY = ("fcntl", "grp", "pty", "pwd", "readline", "resource", "termios", "tty")
WITHOUT = """
import sys
for name in sys.argv[1].split(","):
    sys.modules[name] = None
import imagefleet.async_client, imagefleet.client
from imagefleet import *
"""
LOADED = """
import sys
import imagefleet
print(sorted({"asyncio", "anyio", "click", "httpx2", "pydantic", "rich", "ssl"} & set(sys.modules)))
imagefleet.error_of
print("httpx2" in sys.modules)
print(imagefleet.Client.__name__, imagefleet.AsyncClient.__name__)
"""


def run(code: str, *words: str) -> str:
    ended = subprocess.run(
        [sys.executable, "-c", code, *words], check=False, capture_output=True, text=True, cwd=CLIENT
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_importing_the_package_loads_nothing_that_is_not_used() -> None:
    assert run(LOADED).splitlines() == ["[]", "False", "Client AsyncClient"]


def test_the_library_needs_nothing_that_only_posix_has() -> None:
    run(WITHOUT, ",".join(POSIX_ONLY))


def test_everything_that_the_package_offers_is_there() -> None:
    assert set(imagefleet.__all__) <= set(dir(imagefleet))
    for name in imagefleet.__all__:
        assert getattr(imagefleet, name).__name__ == name
    refusals = {name for name, each in vars(errors).items() if isinstance(each, type) and issubclass(each, Exception)}
    assert refusals <= set(imagefleet.__all__)
    assert not hasattr(imagefleet, "Nothing")
    assert set(models.__all__) - set(imagefleet.__all__) <= {
        "COMPLETED", "FINAL", "Answer", "CacheMode", "Eta", "ModelSlots", "ModelThroughput", "Pause", "Priority", "Slots",
        "SocketInfo", "Throughput", "WaitingRequests",
    }  # fmt: skip
