"""The table of a request's life."""

from __future__ import annotations

import pytest

from app.domain.states import FINAL, OPEN, TABLE, Status, Step


@pytest.mark.parametrize("step", list(Step))
def test_every_step_is_one_row(step: Step) -> None:
    assert TABLE[step].step is step


def test_every_status_is_open_or_final_and_nothing_leaves_a_final_one() -> None:
    assert set(Status) == OPEN | FINAL
    assert not any(transition.sources & FINAL for transition in TABLE.values())


def test_fetching_is_a_step_of_downloading_that_leaves_no_event() -> None:
    fetch = TABLE[Step.FETCH]
    assert fetch.sources == {Status.DOWNLOADING}
    assert (fetch.target, fetch.event) == (Status.DOWNLOADING, None)


def test_a_step_that_changes_the_status_leaves_an_event() -> None:
    for transition in TABLE.values():
        assert (transition.event is None) == (transition.sources == {transition.target})
