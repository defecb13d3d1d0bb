"""The questions in docs/reports.md with their queries, and the columns that it describes."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "reports.md"
_QUESTION = re.compile(r"^\d+\. ([^\n]+\?)\n+```sql\n(.*?)\n```$", re.MULTILINE | re.DOTALL)
_VIEW = re.compile(r"^### `(report_\w+)`\n(.*?)(?=^##)", re.MULTILINE | re.DOTALL)
_ROW = re.compile(r"^\| (`\w+`(?:, `\w+`)*) \|", re.MULTILINE)
_FIGURES = "and the figures."


def questions() -> dict[str, str]:
    """The query of each question."""
    return dict(_QUESTION.findall(PAGE.read_text("utf-8")))


def columns() -> dict[str, list[str]]:
    """The columns of each view, in order, as the page describes them."""
    found = {view: _columns(text) for view, text in _VIEW.findall(PAGE.read_text("utf-8"))}
    figures = found.pop("report_figures")
    return {view: [*names[:-1], *figures] if names[-1] == _FIGURES else names for view, names in found.items()}


def _columns(text: str) -> list[str]:
    names = [name for cell in _ROW.findall(text) for name in re.findall(r"\w+", cell)]
    return [*names, _FIGURES] if _FIGURES in text else names
