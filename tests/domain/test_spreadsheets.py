from __future__ import annotations

import pytest

from app.domain.spreadsheets import safe_cell


@pytest.mark.parametrize(
    "formula", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1", "＝1", '=HYPERLINK("https://x.example")']
)
def test_what_a_spreadsheet_would_take_for_a_formula_begins_with_an_apostrophe(formula: str) -> None:
    assert safe_cell(formula) == f"'{formula}"


@pytest.mark.parametrize(
    ("value", "text"), [("a = b", "a = b"), ("", ""), (None, ""), (17, "17"), (-17, "-17"), ("'=1", "'=1")]
)
def test_other_values_are_shown_as_they_are(value: object, text: str) -> None:
    assert safe_cell(value) == text
