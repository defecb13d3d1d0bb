"""A hand-made history without violations, for tests that break one thing in it."""

from __future__ import annotations

from typing import Any

from tests.chaos.history import (
    Acknowledged,
    Confirmed,
    EventSeen,
    FileSeen,
    History,
    LoggedEvent,
    Offered,
    Released,
    Reported,
    Row,
    StatusSeen,
    StoredPicture,
    StreamEnded,
    Uploaded,
)
from tests.chaos.pictures import Stamp

ID = "request-1"
FILE = f"{ID}_1.png"
FIRST, SECOND = "extension-1", "extension-2"


def event(seq: int, name: str, status: str, at: int, **data: Any) -> LoggedEvent:
    """An event of the log."""
    return LoggedEvent(seq, name, status, at, data)


def log() -> list[LoggedEvent]:
    """Submitted, assigned, requeued, assigned to another extension, generated, downloaded, stored."""
    lost = {"code": "ERR_TIMEOUT", "reason": "It was silent.", "extension_id": FIRST, "attempt": 1}
    return [
        event(1, "ImageGenerationRequestedEvent", "accepted", 1_000, model="dall-e-3", user_id="ann"),
        event(2, "ImageGenerationAssignedEvent", "processing", 2_000, extension_id=FIRST, attempt=1),
        event(3, "ImageGenerationRequeuedEvent", "accepted", 4_000, **lost),
        event(4, "ImageGenerationAssignedEvent", "processing", 5_000, extension_id=SECOND, attempt=2),
        event(5, "ImageDownloadStartedEvent", "downloading", 7_000, extension_id=SECOND, attempt=2, images=1),
        event(6, "ImageGeneratedEvent", "completed", 8_000, image_paths=[f"/generated-images/{FILE}"]),
    ]


def row(**other: Any) -> Row:
    """The final row of the request."""
    values: dict[str, Any] = {
        "id": ID,
        "number": 9,
        "status": "completed",
        "version": 11,
        "last_event": 6,
        "attempt": 2,
        "strikes": 1,
        "holder": SECOND,
        "error_code": None,
        "error": None,
    }
    return Row(**{**values, **other})


def reported(extension: str, sent_at: float, kind: str, attempt: int, **other: Any) -> Reported:
    """A report that was answered a tenth of a second later."""
    values: dict[str, Any] = {"connection": 0, "serial": attempt, "lease": True, "answered_at": sent_at + 0.1}
    return Reported(sent_at, extension, request_id=ID, kind=kind, attempt=attempt, **{**values, **other})


def sample() -> History:
    """The complete history."""
    history = History({FIRST: 1, SECOND: 1}, max_attempts=4)
    history.final.rows[ID] = row()
    history.final.log[ID] = log()
    history.final.pictures = [StoredPicture(ID, 0, FILE, "sha")]
    history.final.files[FILE] = FileSeen("sha", Stamp(9, 2, 2, 0, 1))
    history.earlier[ID] = row()
    history.fetches[9, 2, 2, 0] = 1
    records = history.records
    records.acknowledged.append(Acknowledged(1.1, 9, ID, in_database=True))
    records.statuses += [status(1.2, "accepted", 0, 1), status(2.5, "processing", 30, 3)]
    records.statuses += [status(4.5, "accepted", 0, 4), status(9.0, "completed", 100, 11)]
    records.events += [seen(1, n, 0) for n in (1, 2, 3)] + [seen(2, n, 3) for n in (4, 5, 6)]
    records.streams.append(StreamEnded(9, ID, 6))
    records.offered.append(Offered(2.1, FIRST, 0, ID, 1, 1))
    records.offered.append(Offered(5.1, SECOND, 0, ID, 2, 2))
    records.reported.append(reported(FIRST, 2.4, "image_generation_progress", 1))
    records.reported.append(reported(FIRST, 5.5, "image_generated", 1, refused="ERR_LEASE_LOST"))
    records.reported.append(reported(SECOND, 6.95, "image_generated", 2))
    records.confirmed.append(Confirmed(8.1, SECOND, ID))
    records.uploaded.append(Uploaded(ID, 2, 0))
    records.released.append(Released(5.6, FIRST, ID, 1))
    return history


def status(at: float, name: str, progress: int, version: int) -> StatusSeen:
    """A status that a client received."""
    return StatusSeen(at, at + 0.01, 9, ID, name, progress, version)


def seen(stream: int, seq: int, after: int) -> EventSeen:
    """An event that a client received on a stream."""
    return EventSeen(9, ID, stream, after, seq, log()[seq - 1].type, in_database=True)
