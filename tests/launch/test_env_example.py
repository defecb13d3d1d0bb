"""`.env.example` lists the variables that are read."""

from __future__ import annotations

import re
from collections import UserDict

from app.config import Settings
from tests.support.fake_programs import ROOT

OF_THE_LAUNCHER = {"DEMO"}
TEXT = (ROOT / ".env.example").read_text()


class Recording(UserDict[str, str]):
    """An empty environment that records which variables were read."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: set[str] = set()

    def get(self, name: str, default: str = "") -> str:  # type: ignore[override]
        self.asked.add(name)
        return default


def test_it_lists_every_variable_that_is_read_and_no_other() -> None:
    env = Recording()
    Settings.from_env(env)
    assert set(re.findall(r"^#?([A-Z_]+)=", TEXT, re.MULTILINE)) == env.asked | OF_THE_LAUNCHER


def test_its_values_are_the_defaults() -> None:
    defaults = dict(re.findall(r"^([A-Z_]+)=(.*)$", TEXT, re.MULTILINE))
    assert Settings.from_env(defaults) == Settings.from_env({})
