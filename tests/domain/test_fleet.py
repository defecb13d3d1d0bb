"""How an extension stands, in one word."""

from __future__ import annotations

from typing import Any

import pytest

from app.domain.fleet import Standing, slots, standing

WELL = {"connected": True, "available": True, "paused": False, "held": 0, "slots": 2}


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, Standing.FREE),
        ({"held": 1}, Standing.FREE),
        ({"held": 2}, Standing.BUSY),
        ({"held": 2, "slots": 1}, Standing.BUSY),
        ({"held": 2, "paused": True}, Standing.PAUSED),
        ({"paused": True, "available": False}, Standing.UNAVAILABLE),
        ({"available": False, "connected": False}, Standing.AWAY),
    ],
)
def test_the_first_that_holds_is_said(changed: dict[str, Any], expected: Standing) -> None:
    assert standing(**{**WELL, **changed}) is expected


def test_after_a_failure_it_is_given_one_at_a_time() -> None:
    assert [slots(4, failures) for failures in (0, 1, 9)] == [4, 1, 1]
