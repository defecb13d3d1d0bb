"""Requests for pictures: submit, ask, list, call off, follow."""

from __future__ import annotations

from flask import Response, g, request
from flask_limiter import Limiter

from app.adapters import clock
from app.container import Services
from app.domain.access import Need
from app.domain.errors import AlreadyFinished, Forbidden, NotFound, QuotaExceeded, RateLimited
from app.domain.ids import is_request_id
from app.domain.orders import DEFAULT_USER, Order
from app.web import limits, presenters, streams
from app.web.api import Answer, Api
from app.web.request_schemas import EventsQuery, GenerateRequest, ListQuery, WaitQuery
from app.web.schemas import Accepted, Cancelled, RequestPage, RequestResult, RequestStatus

TAG = "Images"
ONE = "/api/images/<id:request_id>"


def operations(api: Api, services: Services, limiter: Limiter) -> None:
    """Declare them."""

    def awaited(request_id: str, query: WaitQuery) -> str:
        """The id, once there is news where that is asked for."""
        known = _id(request_id)
        services.lookup.await_news(known, query.wait, query.since, g.caller.sees_only, g.credential)
        return known

    @api.operation(
        "POST",
        "/api/images/generate",
        tag=TAG,
        summary="Submit a request",
        body=GenerateRequest,
        need=Need.WRITE,
        answers=(Answer("The request is kept and will be done", Accepted, headers=limits.HEADERS),),
        refusals=(Forbidden, RateLimited, QuotaExceeded),
    )
    def generate_image(body: GenerateRequest) -> Accepted:
        """Accept a request for pictures. Once this is answered the request is in the database and is not lost any more;
        follow it by its `requestId`. Each request that is valid costs one token of the rate limit."""
        g.user_id = g.caller.speaks_for(body.user_id if "user_id" in body.model_fields_set else None) or DEFAULT_USER
        return accept(body)

    @limits.per_submission(limiter, services.settings.limits)
    def accept(body: GenerateRequest) -> Accepted:
        order = Order(body.prompt, body.model, g.user_id, body.parameters, body.deadline_ms)
        return presenters.accepted(services.submission.submit(order, g.correlation_id))

    @api.operation(
        "GET",
        f"{ONE}/status",
        tag=TAG,
        summary="How a request stands",
        query=WaitQuery,
        answers=(Answer("Its status", RequestStatus),),
        refusals=(NotFound,),
    )
    def get_image_status(request_id: str, query: WaitQuery) -> RequestStatus:
        """Status, progress, and why it waits or has failed. With `wait` the answer comes as soon as there is something
        newer than `since`, or the request is final, or the time is over."""
        return presenters.status(services.lookup.glance(awaited(request_id, query), g.caller.sees_only))

    @api.operation(
        "GET",
        ONE,
        tag=TAG,
        summary="What came of a request",
        query=WaitQuery,
        answers=(Answer("The request, with its pictures once it is completed", RequestResult),),
        refusals=(NotFound,),
    )
    def get_image(request_id: str, query: WaitQuery) -> RequestResult:
        """The request and, once it is completed, its pictures. `wait` and `since` work as for the status."""
        return presenters.result(services.lookup.view(awaited(request_id, query), g.caller.sees_only))

    @api.operation(
        "GET",
        "/api/images",
        tag=TAG,
        summary="Your requests, or everybody's",
        query=ListQuery,
        answers=(Answer("A page of them, newest first", RequestPage),),
        refusals=(Forbidden,),
    )
    def list_images(query: ListQuery) -> RequestPage:
        """Requests, newest first: a user's own; for operators, and where everybody is let in, those of `userId` or
        everybody's. Send `nextCursor` of a page as `cursor` to get the next."""
        whose = g.caller.asks_about(query.user_id)
        page = services.lookup.page(whose, query.status, query.cursor, query.limit)
        return RequestPage(
            images=[presenters.result(view) for view in page.views], next_cursor=page.cursor, timestamp=clock.now()
        )

    @api.operation(
        "DELETE",
        ONE,
        tag=TAG,
        summary="Call a request off",
        need=Need.WRITE,
        answers=(Answer("It is called off", Cancelled),),
        refusals=(NotFound, AlreadyFinished),
    )
    def cancel_image(request_id: str) -> Cancelled:
        """End a request that is not final yet; its extension is told to stop. Doing it twice is no error."""
        job = services.cancellation.cancel(_id(request_id), g.caller.sees_only)
        return Cancelled(request_id=job.id, correlation_id=job.correlation_id, timestamp=clock.now())

    @api.operation(
        "GET",
        f"{ONE}/events",
        tag=TAG,
        summary="Follow a request",
        query=EventsQuery,
        headers={"Last-Event-ID": "The number of the last event you have; the stream goes on after it."},
        answers=(
            Answer("Server-Sent Events, until the request is final", content_type="text/event-stream"),
            Answer("There is nothing more to come: do not connect again", status=204),
        ),
        refusals=(NotFound,),
    )
    def follow_image(request_id: str, query: EventsQuery) -> Response:
        """What has happened to the request and what happens to it, as Server-Sent Events: facts carry their number as
        `id` and their type as `event`; `progress` events carry no id. Comments keep the connection alive."""
        return streams.follow(
            services,
            _id(request_id),
            streams.last_seen(request, query.last_event_id),
            g.caller.sees_only,
            g.credential,
        )


def _id(text: str) -> str:
    """The id as we write it. Raises NotFound for what cannot be one."""
    if not is_request_id(text.lower()):
        raise NotFound("No request has that id: ids are UUIDs, as POST /api/images/generate answers them.")
    return text.lower()
