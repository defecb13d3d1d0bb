"""The fleet of extensions, for operators."""

from app.container import Services
from app.db.extension_list import ExtensionDetails
from app.domain.access import Need
from app.domain.clock import wire_now, wire_time
from app.domain.errors import Forbidden
from app.web.api import Api, ResponseSpec
from app.web.fleet_schemas import MOST_HELD, ExtensionState, FleetPage, FleetQuery, Pause

TAG = "Fleet"


def operations(api: Api, services: Services) -> None:
    """Declare them."""

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
        web_process=entry.hub_id,
    )
