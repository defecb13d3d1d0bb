"""The fleet of extensions, for operators."""

from typing import Annotated

from flask import Response
from pydantic import Field

from app.container import Services
from app.db.extension_list import ExtensionDetails
from app.domain import messages
from app.domain.access import Need
from app.domain.clock import wire_now, wire_time
from app.domain.errors import Forbidden, NotFound
from app.domain.pauses import QueuePause
from app.domain.policy import ExtensionStatus
from app.domain.wire_types import Time, Uuid, WireModel
from app.services.queue_status import PauseState
from app.web.api import Api, ResponseSpec
from app.web.queue_schemas import PausedPart
from app.web.request_schemas import Query, page_cursor

TAG = "Fleet"
MOST_HELD = messages.MAX_CONCURRENT


class FleetQuery(Query):
    """Which extensions to list."""

    connected: bool | None = Field(None, description="Only extensions that are connected, or only those that are not.")
    limit: int = Field(20, ge=1, le=100, description="Maximum number of results.")
    cursor: Annotated[str | None, page_cursor(messages.ID.pattern)] = None


class Pause(WireModel):
    """Why an extension gets no work for a while."""

    until: Time
    reason: str | None = None


class ExtensionState(WireModel):
    """The state of an extension."""

    extension_id: str
    connected: bool
    standing: ExtensionStatus = Field(
        description="the first that applies: `drained` was taken away by an operator and holds nothing any more, `away` is not "
        "connected, `draining` gets nothing more, `unavailable` does not accept work, `paused` rests after a failure or is paused "
        "by an operator, `busy` holds as many requests as it may; otherwise `free`"
    )
    since: Time = Field(description="when it connected or disconnected")
    last_seen_at: Time = Field(description="its last heartbeat, or when it connected; a few seconds late if it is idle")
    last_success_at: Time | None = Field(None, description="when it last delivered images")
    version: str | None = Field(None, description="of the extension, as it reports")
    capabilities: list[str]
    available: bool = Field(description="as reported by its last heartbeat")
    max_concurrent: int = Field(description="how many requests it accepts at once")
    active: int = Field(description="how many requests it holds")
    request_ids: list[Uuid] = Field(max_length=MOST_HELD, description="the requests it holds")
    failures: int = Field(description="in a row; while there are any, it gets one request at a time")
    pause: Pause | None = Field(None, description="while it rests")
    paused_by_operator: PausedPart | None = Field(None, description="while an operator has paused it")
    web_process: str | None = Field(None, description="the web process that holds its socket")


class FleetPage(WireModel):
    """Extensions, in the order of their ids."""

    extensions: list[ExtensionState]
    next_cursor: str | None = Field(None, description="send it as `cursor` for the next page; absent on the last one")
    timestamp: Time


def operations(api: Api, services: Services) -> None:
    """Declare the operations of this module."""

    @api.operation(
        "GET",
        "/api/extensions",
        tag=TAG,
        summary="List extensions",
        query=FleetQuery,
        need=Need.OPERATE,
        responses=(ResponseSpec("A page of extensions, ordered by id", FleetPage),),
        refusals=(Forbidden,),
    )
    def list_extensions(query: FleetQuery) -> FleetPage:
        """Every extension that has ever connected: whether it is connected, whether it accepts work, which requests it
        holds. If the service requires authentication, this is for operators, with a key or token of the scope `admin`."""
        page = services.fleet.page(query.connected, query.cursor, query.limit)
        return FleetPage(
            extensions=[_state(entry) for entry in page.extensions], next_cursor=page.cursor, timestamp=wire_now()
        )

    @api.operation(
        "DELETE",
        "/api/extensions/<extension_id>/pause",
        tag=TAG,
        summary="End the pause of an extension",
        need=Need.OPERATE,
        responses=(ResponseSpec("The extension is not paused any more", status=204),),
        refusals=(Forbidden, NotFound),
    )
    def resume_extension(extension_id: str) -> Response:
        """Give the extension requests again, once the cause of its failures is removed. Its failures are forgotten, too.
        It is no error if it is not paused."""
        services.extensions.resume(extension_id)
        return Response(status=204)


def _state(entry: ExtensionDetails) -> ExtensionState:
    pause = None if entry.pause is None else Pause(until=wire_time(entry.pause.until), reason=entry.pause.reason)
    return ExtensionState(
        extension_id=entry.id,
        connected=entry.connected,
        standing=entry.standing,
        since=wire_time(entry.since),
        last_seen_at=wire_time(entry.heard_at),
        last_success_at=None if entry.last_success_at is None else wire_time(entry.last_success_at),
        version=entry.version,
        capabilities=list(entry.capabilities),
        available=entry.available,
        max_concurrent=entry.max_concurrent,
        active=entry.held,
        request_ids=list(entry.job_ids[:MOST_HELD]),
        failures=entry.failures,
        pause=pause,
        paused_by_operator=None if entry.paused_by_operator is None else _by_operator(entry, entry.paused_by_operator),
        web_process=entry.hub_id,
    )


def _by_operator(entry: ExtensionDetails, pause: QueuePause) -> PausedPart:
    return PausedPart.of(PauseState(pause, drained=entry.standing is ExtensionStatus.DRAINED))
