"""What a run leaves behind: what clients and extensions saw, and what database and disk hold in the end.

Times are wall-clock seconds of this machine; those of the database are of the same clock, in ms.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.chaos.pictures import Stamp


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """A client was answered 200; `in_database` is what an independent reader saw right then, None where it could not."""

    at: float
    client: int
    request_id: str
    in_database: bool | None


@dataclass(frozen=True, slots=True)
class StatusSeen:
    """A client was told how its request stands."""

    sent_at: float
    at: float
    client: int
    request_id: str
    status: str
    progress: int
    version: int


@dataclass(frozen=True, slots=True)
class EventSeen:
    """A client's stream brought an event. Each connection is a `stream` of its own, asked to go on after event `after`."""

    client: int
    request_id: str
    stream: int
    after: int
    seq: int
    type: str
    in_database: bool | None


@dataclass(frozen=True, slots=True)
class StreamEnded:
    """A client's stream was ended by the server, as it is once everything was said; `last` is the last event of it."""

    client: int
    request_id: str
    last: int


@dataclass(frozen=True, slots=True)
class Offered:
    """An extension was given a request; `serial` counts its offers, `attempt` is what the upload address says."""

    at: float
    extension: str
    connection: int
    request_id: str
    attempt: int
    serial: int


@dataclass(slots=True)
class Reported:
    """An extension said something about a request.

    `lease` is whether it named the attempt's lease. It is `heard` once the answer to a heartbeat sent behind it came:
    whatever had to be said about it came before that. `refused` is the code it was refused with.
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
    """An extension was told that its pictures are stored."""

    at: float
    extension: str
    request_id: str


@dataclass(frozen=True, slots=True)
class Moment:
    """Something in the life of an extension's connection, for whoever reads what happened."""

    at: float
    extension: str
    connection: int
    what: str


@dataclass(frozen=True, slots=True)
class Released:
    """From now on the extension works on this attempt no more, or says so."""

    at: float
    extension: str
    request_id: str
    attempt: int


@dataclass(frozen=True, slots=True)
class Uploaded:
    """An extension handed a picture over and was answered that it arrived."""

    request_id: str
    attempt: int
    position: int


@dataclass
class Records:
    """Filled by many threads: appending to a list is one step."""

    acknowledged: list[Acknowledged] = field(default_factory=list)
    statuses: list[StatusSeen] = field(default_factory=list)
    events: list[EventSeen] = field(default_factory=list)
    streams: list[StreamEnded] = field(default_factory=list)
    offered: list[Offered] = field(default_factory=list)
    reported: list[Reported] = field(default_factory=list)
    confirmed: list[Confirmed] = field(default_factory=list)
    moments: list[Moment] = field(default_factory=list)
    released: list[Released] = field(default_factory=list)
    uploaded: list[Uploaded] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)  # of clients' requests, beyond 503: each is a surprise
    unknown: list[str] = field(default_factory=list)  # requests of clients that nobody answered


@dataclass(frozen=True, slots=True)
class Row:
    """A request as its row stands."""

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


@dataclass(frozen=True, slots=True)
class LoggedEvent:
    """An event of the log; `at` in ms."""

    seq: int
    type: str
    status: str
    at: int
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class StoredPicture:
    """A picture as its row describes it."""

    request_id: str
    position: int
    file: str
    sha256: str


@dataclass(frozen=True, slots=True)
class FileSeen:
    """A file of the folder of pictures; `stamp` is what is drawn into it, None where it is no picture."""

    sha256: str
    stamp: Stamp | None


@dataclass
class FinalState:
    """Database and disk once everything is quiet."""

    rows: dict[str, Row] = field(default_factory=dict)
    log: dict[str, list[LoggedEvent]] = field(default_factory=lambda: defaultdict(list))
    pictures: list[StoredPicture] = field(default_factory=list)
    files: dict[str, FileSeen] = field(default_factory=dict)


@dataclass
class History:
    """All of it. `slots` is how many requests each extension takes, `literal` are those that never say what they work on.
    `earlier` are the rows as they stood a moment before the end; `fetches` counts those of a picture's URL by request,
    extension, offer and position."""

    slots: dict[str, int]
    max_attempts: int
    literal: frozenset[str] = frozenset()
    records: Records = field(default_factory=Records)
    final: FinalState = field(default_factory=FinalState)
    earlier: dict[str, Row] = field(default_factory=dict)
    fetches: dict[tuple[int, int, int, int], int] = field(default_factory=dict)
