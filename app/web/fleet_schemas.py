"""Questions and answers about the fleet."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from app.domain import messages
from app.domain.fleet import ExtensionStatus
from app.domain.wire_types import Time, Uuid
from app.web.schema_base import Query, ResponseModel

MOST_HELD = messages.MAX_CONCURRENT


class FleetQuery(Query):
    """Which extensions to list."""

    connected: bool | None = Field(None, description="Only those that are connected, or only those that are not.")
    limit: int = Field(20, ge=1, le=100)
    cursor: Annotated[
        str | None, Field(pattern=rf"^{messages.ID.pattern}$", description="`nextCursor` of the page before.")
    ] = None


class Pause(ResponseModel):
    """Why an extension is given no work for a while."""

    until: Time
    reason: str | None = None


class ExtensionState(ResponseModel):
    """An extension as it stands."""

    extension_id: str
    connected: bool
    standing: ExtensionStatus = Field(
        description="the first that holds: not connected is `away`, takes no work by its own word `unavailable`, rests "
        "after a failure `paused`, holds as much as it may `busy`; else `free`"
    )
    since: Time = Field(description="when it was connected, or lost")
    last_seen_at: Time = Field(
        description="its last heartbeat, or when it was connected; told with a delay of some seconds where it has nothing in hand"
    )
    last_success_at: Time | None = Field(None, description="when it last delivered pictures")
    version: str | None = Field(None, description="of the extension, as it says")
    capabilities: list[str]
    available: bool = Field(description="what its last heartbeat said")
    max_concurrent: int = Field(description="how many requests it takes at once")
    active: int = Field(description="how many it holds")
    request_ids: list[Uuid] = Field(max_length=MOST_HELD, description="which")
    failures: int = Field(description="in a row; while there are any, it is given one request at a time")
    pause: Pause | None = Field(None, description="while it rests")
    web_process: str | None = Field(None, description="the web process that holds its socket")


class FleetPage(ResponseModel):
    """Extensions, in the order of their ids."""

    extensions: list[ExtensionState]
    next_cursor: str | None = Field(None, description="send it as `cursor` for the next page; absent on the last one")
    timestamp: Time
