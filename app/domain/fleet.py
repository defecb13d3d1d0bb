"""The status of an extension."""

from enum import StrEnum


class ExtensionStatus(StrEnum):
    """Whether an extension accepts work at the moment, and if not, why."""

    FREE = "free"
    BUSY = "busy"
    PAUSED = "paused"  # after a failure, or at its own request
    UNAVAILABLE = "unavailable"  # its heartbeats report that it accepts no work
    AWAY = "away"  # not connected


def usable_slots(max_concurrent: int, failures: int) -> int:
    """How many jobs it may hold at once. After a failure it is only one, which tests whether it works again."""
    return 1 if failures else max_concurrent


def extension_status(*, connected: bool, available: bool, paused: bool, held: int, slots: int) -> ExtensionStatus:
    """The status of an extension; what comes first here takes precedence."""
    if not connected:
        return ExtensionStatus.AWAY
    if not available:
        return ExtensionStatus.UNAVAILABLE
    if paused:
        return ExtensionStatus.PAUSED
    return ExtensionStatus.BUSY if held >= slots else ExtensionStatus.FREE
