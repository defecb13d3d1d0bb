"""How an extension stands, in one word."""

from __future__ import annotations

from enum import StrEnum


class ExtensionStatus(StrEnum):
    """Whether an extension takes work at the moment, and why it does not."""

    FREE = "free"
    BUSY = "busy"
    PAUSED = "paused"  # after a failure, or because it asked for it
    UNAVAILABLE = "unavailable"  # its heartbeats say that it takes no work
    AWAY = "away"  # not connected


def usable_slots(max_concurrent: int, failures: int) -> int:
    """How many jobs it is given at once: after a failure, one at a time shows whether it is well again."""
    return 1 if failures else max_concurrent


def extension_status(*, connected: bool, available: bool, paused: bool, held: int, slots: int) -> ExtensionStatus:
    """The first that holds."""
    if not connected:
        return ExtensionStatus.AWAY
    if not available:
        return ExtensionStatus.UNAVAILABLE
    if paused:
        return ExtensionStatus.PAUSED
    return ExtensionStatus.BUSY if held >= slots else ExtensionStatus.FREE
