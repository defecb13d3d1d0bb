"""The server's responses about its fleet, as frozen dataclasses. `body` is what the server sent, with all fields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self

from imagefleet.wire import Fields


@dataclass(frozen=True, slots=True)
class Pause:
    """Until when an extension gets no work, and why."""

    until: datetime | None
    reason: str | None

    @classmethod
    def read(cls, fields: Fields | None) -> Self | None:
        """From the `pause` of an extension, if there is one."""
        return None if fields is None else cls(fields.time("until"), fields.optional_text("reason"))


@dataclass(frozen=True, slots=True)
class ExtensionState:
    """An extension. `standing` is free, busy, paused, unavailable or away; `since` is when it (dis)connected.

    `active` is the number of requests it holds, `request_ids` their IDs; `failures` counts consecutive failures.
    """

    extension_id: str
    standing: str
    connected: bool | None = None
    since: datetime | None = None
    last_seen_at: datetime | None = None
    last_success_at: datetime | None = None
    version: str | None = None
    capabilities: tuple[str, ...] = ()
    available: bool | None = None
    max_concurrent: int | None = None
    active: int | None = None
    request_ids: tuple[str, ...] = ()
    failures: int | None = None
    pause: Pause | None = None
    web_process: str | None = None
    body: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """From an item of `extensions`."""
        return cls(
            extension_id=fields.text("extension_id"),
            standing=fields.text("standing"),
            connected=fields.flag("connected"),
            since=fields.time("since"),
            last_seen_at=fields.time("last_seen_at"),
            last_success_at=fields.time("last_success_at"),
            version=fields.optional_text("version"),
            capabilities=fields.texts("capabilities") or (),
            available=fields.flag("available"),
            max_concurrent=fields.whole("max_concurrent"),
            active=fields.whole("active"),
            request_ids=fields.texts("request_ids") or (),
            failures=fields.whole("failures"),
            pause=Pause.read(fields.part("pause")),
            web_process=fields.optional_text("web_process"),
            body=fields.body,
        )
