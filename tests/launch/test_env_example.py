"""`.env.example` is the list of what is read."""

from __future__ import annotations

import re
from collections import UserDict

from app.config import Settings
from tests.support.fake_programs import ROOT

OF_THE_LAUNCHER = {"DEMO"}
TEXT = (ROOT / ".env.example").read_text()


class Recording(UserDict[str, str]):
    """An empty environment that knows what it was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: set[str] = set()

    def get(self, name: str, default: str = "") -> str:  # type: ignore[override]
        self.asked.add(name)
        return default


def test_it_names_every_variable_that_is_read_and_no_other() -> None:
    env = Recording()
    Settings.from_env(env)
    assert set(re.findall(r"^#?([A-Z_]+)=", TEXT, re.MULTILINE)) == env.asked | OF_THE_LAUNCHER


def test_what_it_sets_are_the_defaults() -> None:
    defaults = dict(re.findall(r"^([A-Z_]+)=(.*)$", TEXT, re.MULTILINE))
    assert Settings.from_env(defaults) == Settings.from_env({})
