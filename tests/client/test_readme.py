"""The examples of the client's README run, against the real service."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from imagefleet.extension import Extension, Settings
from tests.support.service import Service

ROOT = Path(__file__).parents[2]
ADDRESS = "http://localhost:3000"
TEXT = (ROOT / "client" / "README.md").read_text("utf-8")
LIBRARY = TEXT[TEXT.index("## The library") : TEXT.index("## The reference extension")]
EXAMPLES = re.findall(r"^```python\n(.*?)^```$", LIBRARY, re.MULTILINE | re.DOTALL)


def run(code: str, service: Service, folder: Path) -> str:
    """What the example prints."""
    assert ADDRESS in code
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "client")}
    words = [sys.executable, "-c", code.replace(ADDRESS, service.url())]
    ended = subprocess.run(words, check=False, cwd=folder, env=environment, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@pytest.fixture
def extension(service: Service) -> Iterator[Extension]:
    working = Extension(Settings(service.url(), "readme", step_s=0.0, concurrent=4), lambda _: None)
    running = threading.Thread(target=working.run, daemon=True)
    running.start()
    yield working
    working.stop()
    running.join(5)


@pytest.mark.usefixtures("extension")
def test_the_examples_of_the_library_do_what_they_say(service: Service, tmp_path: Path) -> None:
    first, with_async, with_batch, with_errors = EXAMPLES
    assert "completed 100" in run(first, service, tmp_path)
    assert "ImageGeneratedEvent" in run(with_async, service, tmp_path)
    assert run(with_batch, service, tmp_path) == ""
    assert run(with_errors, service, tmp_path).startswith("2 prompt ")
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "0001.png",
        "0002.png",
        "lighthouse-0.png",
        "lighthouse-1.png",
    ]
