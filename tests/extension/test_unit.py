"""Runs the extension's unit tests in Node: each file in tests/extension/unit is one test here."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.node import node

FOLDER = Path(__file__).parent / "unit"
FILES = sorted(path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*.test.js"))


def test_there_are_unit_tests() -> None:
    assert FILES, f"no *.test.js under {FOLDER}"


@pytest.mark.parametrize("file", FILES)
def test_unit(file: str) -> None:
    done = node("--test", "--test-reporter=spec", FOLDER / file)
    if done.returncode:
        pytest.fail(done.stdout, pytrace=False)
    assert "tests 0" not in done.stdout, f"{file} has no test"
