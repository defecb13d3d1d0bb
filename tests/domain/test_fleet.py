"""The status of an extension."""

from __future__ import annotations

from typing import Any

import pytest

from app.domain.fleet import ExtensionStatus, extension_status, usable_slots

HEALTHY = {"connected": True, "available": True, "paused": False, "held": 0, "slots": 2}


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
def test_the_most_important_condition_decides_the_status(changed: dict[str, Any], expected: ExtensionStatus) -> None:
    assert extension_status(**{**HEALTHY, **changed}) is expected


def test_after_a_failure_an_extension_gets_one_job_at_a_time() -> None:
    assert [usable_slots(4, failures) for failures in (0, 1, 9)] == [4, 1, 1]
