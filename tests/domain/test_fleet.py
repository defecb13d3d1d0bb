"""How an extension stands, in one word."""

from __future__ import annotations

from typing import Any

import pytest

from app.domain.fleet import ExtensionStatus, extension_status, usable_slots

WELL = {"connected": True, "available": True, "paused": False, "held": 0, "slots": 2}


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, ExtensionStatus.FREE),
        ({"held": 1}, ExtensionStatus.FREE),
        ({"held": 2}, ExtensionStatus.BUSY),
        ({"held": 2, "slots": 1}, ExtensionStatus.BUSY),
        ({"held": 2, "paused": True}, ExtensionStatus.PAUSED),
        ({"paused": True, "available": False}, ExtensionStatus.UNAVAILABLE),
        ({"available": False, "connected": False}, ExtensionStatus.AWAY),
    ],
)
def test_the_first_that_holds_is_said(changed: dict[str, Any], expected: ExtensionStatus) -> None:
    assert extension_status(**{**WELL, **changed}) is expected


def test_after_a_failure_it_is_given_one_at_a_time() -> None:
    assert [usable_slots(4, failures) for failures in (0, 1, 9)] == [4, 1, 1]
