"""Accessibility findings of axe-core in a page of the browser."""

from __future__ import annotations

import json
from pathlib import Path

from tests.support.chromium import Page
from tests.support.missing import missing

AXE = Path(__file__).resolve().parents[2] / "extension" / "node_modules" / "axe-core" / "axe.min.js"


def findings(page: Page, within: str = "html", without: str | None = None) -> dict[str, list[str]]:
    """The violated rules and the selectors of the violating elements, inside `within` and outside of `without`."""
    if not AXE.exists():
        missing("axe-core is missing: make check-extension installs it")
    context = {"include": [[within]], "exclude": [[without]] if without else []}
    page.evaluate(AXE.read_text())
    violations = page.evaluate(f"(await axe.run({json.dumps(context)}, {{resultTypes: ['violations']}})).violations")
    return {each["id"]: sorted(str(node["target"][0]) for node in each["nodes"]) for each in violations}
