"""The history of a run: what clients and extensions observed, and what database and disk contain at the end.

Times are wall-clock seconds of this machine; those of the database are of the same clock, in ms.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.chaos.hook_history import Arrival, DeliveryRow, Hook
from tests.chaos.pictures import Stamp


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """A client received 200. `in_database` is whether the row was readable at that moment, None if that is unknown."""

    at: float
    client: int
    request_id: str
    in_database: bool | None


@dataclass(frozen=True, slots=True)
class StatusSeen:
    """A client received the status of its request."""

    sent_at: float
    at: float
    client: int
    request_id: str
    status: str
    progress: int
    version: int


@dataclass(frozen=True, slots=True)
class EventSeen:
    """A client received an event on a stream. Each connection is a new `stream`, resumed after event `after`."""

    client: int
    request_id: str
    stream: int
    after: int
    seq: int
    type: str
    in_database: bool | None


@dataclass(frozen=True, slots=True)
class StreamEnded:
    """The server ended a client's stream because it was complete; `last` is the last event on it."""

    client: int
    request_id: str
    last: int


@dataclass(frozen=True, slots=True)
class BatchAcknowledged:
    """A client received 200 for batch number `batch` of the plan."""

    batch: int
    batch_id: str


@dataclass(frozen=True, slots=True)
class BatchPaused:
    """A client knew that its batch was paused from `begun` to `ended` (s)."""

    batch: int
    batch_id: str
    begun: float
    ended: float


@dataclass(frozen=True, slots=True)
class Offered:
    """An extension received a request. `serial` counts its offers; `attempt` is the one in the upload URL."""

    at: float
    extension: str
    connection: int
    request_id: str
    attempt: int
    serial: int


@dataclass(slots=True)
class Reported:
    """An extension sent a report on a request.

    `lease` is whether the report contained the lease. `answered_at` is when the response to the heartbeat sent after it
    arrived, since any error about the report arrives before that. `refused` is the code of that error.
    """

    sent_at: float
    extension: str
    connection: int
    request_id: str
    kind: str
    attempt: int
    serial: int
    lease: bool
    answered_at: float | None = None
    refused: str | None = None


@dataclass(frozen=True, slots=True)
class Confirmed:
    """An extension received the confirmation that its pictures are stored."""

    at: float
    extension: str
    request_id: str


@dataclass(frozen=True, slots=True)
class Moment:
    """An event of an extension's connection, recorded for diagnosis."""

    at: float
    extension: str
    connection: int
    what: str


@dataclass(frozen=True, slots=True)
class Released:
    """From then on the extension no longer worked on this attempt, or no longer reported that it did."""

    at: float
    extension: str
    request_id: str
    attempt: int


@dataclass(frozen=True, slots=True)
class Uploaded:
    """An extension uploaded a picture and received the confirmation."""

    request_id: str
    attempt: int
    position: int


@dataclass
class Records:
    """Everything that was observed. Many threads append to it; appending to a list is atomic."""

    acknowledged: list[Acknowledged] = field(default_factory=list)
    statuses: list[StatusSeen] = field(default_factory=list)
    events: list[EventSeen] = field(default_factory=list)
    streams: list[StreamEnded] = field(default_factory=list)
    batches: list[BatchAcknowledged] = field(default_factory=list)
    pauses: list[BatchPaused] = field(default_factory=list)
    offered: list[Offered] = field(default_factory=list)
    reported: list[Reported] = field(default_factory=list)
    confirmed: list[Confirmed] = field(default_factory=list)
    moments: list[Moment] = field(default_factory=list)
    released: list[Released] = field(default_factory=list)
    uploaded: list[Uploaded] = field(default_factory=list)
    arrivals: list[Arrival] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)  # unexpected error responses to clients, other than 503
    unknown: list[str] = field(default_factory=list)  # requests of clients without an answer


@dataclass(frozen=True, slots=True)
class Row:
    """The row of a request."""

    id: str
    number: int
    status: str
    version: int
    last_event: int
    attempt: int
    strikes: int
    holder: str | None
    error_code: str | None
    error: str | None
    batch_id: str | None = None
    batch_index: int | None = None
    custom_id: str | None = None
    retry_of: str | None = None
    replaced_by: str | None = None


@dataclass(frozen=True, slots=True)
class BatchRow:
    """The row of a batch. `counts` are those of items that completed, failed, and were cancelled."""

    id: str
    status: str
    concurrency: int
    total: int
    counts: tuple[int, int, int]
    last_event: int


@dataclass(frozen=True, slots=True)
class BatchEvent:
    """An event in the log of a batch."""

    seq: int
    type: str
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class LoggedEvent:
    """An event of the log; `at` is in ms."""

    seq: int
    type: str
    status: str
    at: int
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class StoredPicture:
    """The row of a picture."""

    request_id: str
    position: int
    file: str
    sha256: str


@dataclass(frozen=True, slots=True)
class FileSeen:
    """A file in the folder of pictures. `stamp` is drawn into the picture; None if the file is not a picture."""

    sha256: str
    stamp: Stamp | None


@dataclass
class FinalState:
    """Database and disk at the end of the run."""

    rows: dict[str, Row] = field(default_factory=dict)
    log: dict[str, list[LoggedEvent]] = field(default_factory=lambda: defaultdict(list))
    pictures: list[StoredPicture] = field(default_factory=list)
    files: dict[str, FileSeen] = field(default_factory=dict)
    batches: dict[str, BatchRow] = field(default_factory=dict)
    batch_log: dict[str, list[BatchEvent]] = field(default_factory=lambda: defaultdict(list))
    deliveries: list[DeliveryRow] = field(default_factory=list)


@dataclass
class History:
    """Everything about a run.

    `slots` is how many requests each extension accepts; `literal` are the extensions that never report what they work on.
    `earlier` are the rows shortly before the end; `fetches` counts the downloads of a picture's URL by request number,
    extension, offer and position. `batches` are the numbers of the items of each planned batch. `hooks` are the webhooks by
    path; `attempts` how often each path was sent each event before `repaired_at` (s), when everything was sent again.
    """

    slots: dict[str, int]
    max_attempts: int
    literal: frozenset[str] = frozenset()
    records: Records = field(default_factory=Records)
    final: FinalState = field(default_factory=FinalState)
    earlier: dict[str, Row] = field(default_factory=dict)
    fetches: dict[tuple[int, int, int, int], int] = field(default_factory=dict)
    batches: dict[int, Sequence[int]] = field(default_factory=dict)
    hooks: dict[str, Hook] = field(default_factory=dict)
    attempts: dict[tuple[str, str], int] = field(default_factory=dict)
    repaired_at: float = 0.0
