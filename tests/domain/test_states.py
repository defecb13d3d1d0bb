"""The state table of a request."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.domain.states import FINAL, OPEN, TABLE, Status, Step, diagram

ARCHITECTURE = Path(__file__).resolve().parents[2] / "docs" / "architecture.md"


@pytest.mark.parametrize("step", list(Step))
def test_every_step_has_one_row(step: Step) -> None:
    assert TABLE[step].step is step


def test_every_status_is_open_or_final_and_nothing_leaves_a_final_one() -> None:
    assert set(Status) == OPEN | FINAL
    for transition in TABLE.values():
        assert not transition.sources & FINAL or transition.sources == {transition.target}
        assert transition.ends == (transition.target in FINAL and not transition.sources & FINAL)


def test_fetching_is_a_step_of_downloading_that_leaves_no_event() -> None:
    fetch = TABLE[Step.FETCH]
    assert fetch.sources == {Status.DOWNLOADING}
    assert (fetch.target, fetch.event) == (Status.DOWNLOADING, None)


def test_a_step_that_changes_the_status_leaves_an_event() -> None:
    for transition in TABLE.values():
        changes_nothing = transition.sources == {transition.target}
        assert (transition.event is None) == (changes_nothing and transition.step is not Step.REMOVE)


def test_the_diagram_draws_every_arrow_of_the_table() -> None:
    first, *lines = diagram().splitlines()
    assert first == "stateDiagram-v2"
    drawn = {line.strip() for line in lines}
    assert "[*] --> accepted: submit" in drawn
    assert {"accepted --> cancelled: cancel", "processing --> cancelled: cancel"} <= drawn
    assert {line for line in drawn if line.endswith("[*]")} == {f"{status} --> [*]" for status in FINAL}
    assert len(lines) == 1 + sum(len(transition.sources) for transition in TABLE.values()) + len(FINAL)


def test_the_architecture_page_shows_the_diagram_of_this_table() -> None:
    page = ARCHITECTURE.read_text()
    shown = page.split("<!-- states -->")[1].split("<!-- /states -->")[0]
    assert shown.strip() == f"```mermaid\n{diagram()}\n```"
