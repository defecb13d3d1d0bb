"""Image requests: submit, get, list, cancel, follow."""

from flask import Response, g, request
from flask_limiter import Limiter

from app.container import Services
from app.domain.access import Need
from app.domain.clock import wire_now
from app.domain.errors import (
    AlreadyFinished,
    Forbidden,
    IdempotencyKeyReused,
    InvalidVariables,
    NoPictures,
    NotCached,
    NotFound,
    QuotaExceeded,
    RateLimited,
    UnknownInput,
    UnknownStyle,
    WebhookRefused,
)
from app.domain.ids import is_request_id
from app.domain.image_request import DEFAULT_USER, ImageRequest
from app.web import idempotency, limits, presenters, streams
from app.web.api import Api, ResponseSpec
from app.web.request_schemas import EventsQuery, GenerateRequest, ListQuery, WaitQuery
from app.web.schemas import Accepted, Cancelled, PicturesRemoved, RequestPage, RequestResult, RequestStatus
from app.web.streams import RequestFeed

TAG = "Images"
ONE_REQUEST = "/api/images/<id:request_id>"


def operations(api: Api, services: Services, limiter: Limiter) -> None:
    """Declare the operations of this module."""

    @api.operation(
        "POST",
        "/api/images/generate",
        tag=TAG,
        summary="Submit a request",
        body=GenerateRequest,
        need=Need.WRITE,
        headers=idempotency.REQUEST_HEADERS,
        responses=(
            ResponseSpec(
                "The request is stored and will be processed",
                Accepted,
                headers=(*limits.HEADERS, *idempotency.RESPONSE_HEADERS),
            ),
        ),
        refusals=(
            Forbidden,
            IdempotencyKeyReused,
            RateLimited,
            QuotaExceeded,
            UnknownStyle,
            InvalidVariables,
            NotCached,
            WebhookRefused,
            UnknownInput,
        ),
    )
    @limits.submitted_for(_submitter)
    @idempotency.once_only(services, "generate", idempotency.parsed_body, presenters.accepted)
    @limits.per_submission(limiter, services.settings.limits, limits.REQUESTS)
    def generate_image(body: GenerateRequest) -> Accepted:
        """Submit a request for images. It is in the database before this responds, so it cannot be lost; follow it by its
        `requestId`. Each valid request costs one token of the rate limit. With an `Idempotency-Key` it can be sent again
        until it is answered: it is accepted once, and a repetition gets the same answer and costs nothing."""
        model = body.model if "model" in body.model_fields_set else None
        order = ImageRequest(
            body.prompt,
            model,
            g.user_id,
            body.parameters,
            body.deadline_ms,
            body.style,
            body.variables,
            priority=body.priority,
            cache=body.cache,
            webhook=body.webhook,
            inputs=body.input_images,
            keep_days=body.keep,
        )
        return presenters.accepted(services.submission.submit(order, g.correlation_id, g.keyed_request))

    @api.operation(
        "GET",
        f"{ONE_REQUEST}/status",
        tag=TAG,
        summary="Get the status",
        query=WaitQuery,
        responses=(ResponseSpec("The status", RequestStatus),),
        refusals=(NotFound,),
    )
    def get_image_status(request_id: str, query: WaitQuery) -> RequestStatus:
        """Status and progress, and why the request waits or has failed. With `wait`, the response is sent as soon as there
        is something newer than `since`, or the request is final, or the time is over."""
        known = checked_id(request_id)
        _await_news(services, known, query)
        return presenters.status(services.lookup.status(known, g.caller.visible_user))

    @api.operation(
        "GET",
        ONE_REQUEST,
        tag=TAG,
        summary="Get the result",
        query=WaitQuery,
        responses=(ResponseSpec("The request, with its images once it is completed", RequestResult),),
        refusals=(NotFound,),
    )
    def get_image(request_id: str, query: WaitQuery) -> RequestResult:
        """The request and, once it is completed, its images. `wait` and `since` work as they do for the status."""
        known = checked_id(request_id)
        _await_news(services, known, query)
        return presenters.result(services.lookup.details(known, g.caller.visible_user))

    @api.operation(
        "GET",
        "/api/images",
        tag=TAG,
        summary="List requests",
        query=ListQuery,
        responses=(ResponseSpec("A page of requests, newest first", RequestPage),),
        refusals=(Forbidden,),
    )
    def list_images(query: ListQuery) -> RequestPage:
        """Requests, newest first: a user's own. Operators, and all callers if the service does not require authentication,
        get those of `userId`, or of all users without it. Send a page's `nextCursor` as `cursor` to get the next page."""
        user_id = g.caller.listed_user(query.user_id)
        page = services.lookup.page(user_id, query.status, query.cursor, query.limit, query.parent_id)
        return RequestPage(
            images=[presenters.result(each) for each in page.jobs], next_cursor=page.cursor, timestamp=wire_now()
        )

    @api.operation(
        "DELETE",
        ONE_REQUEST,
        tag=TAG,
        summary="Cancel a request",
        need=Need.WRITE,
        responses=(ResponseSpec("The request is cancelled", Cancelled),),
        refusals=(NotFound, AlreadyFinished),
    )
    def cancel_image(request_id: str) -> Cancelled:
        """Cancel a request that is not final; its extension is notified to stop. Cancelling it twice is not an error."""
        job = services.cancellation.cancel(checked_id(request_id), g.caller.visible_user)
        return Cancelled(request_id=job.id, correlation_id=job.correlation_id, timestamp=wire_now())

    @api.operation(
        "DELETE",
        f"{ONE_REQUEST}/pictures",
        tag=TAG,
        summary="Remove the images of a request",
        need=Need.WRITE,
        responses=(ResponseSpec("The images are removed", PicturesRemoved),),
        refusals=(NotFound, NoPictures),
    )
    def remove_pictures(request_id: str) -> PicturesRemoved:
        """Remove the images of a completed request. Their addresses answer 410 from then on; the request itself stays, with
        `picturesRemovedAt`. Removing them twice is not an error. Images of other requests stay, even if they are identical."""
        job = services.removal.remove(checked_id(request_id), g.caller.visible_user)
        return presenters.pictures_removed(job)

    @api.operation(
        "GET",
        f"{ONE_REQUEST}/events",
        tag=TAG,
        summary="Follow a request",
        query=EventsQuery,
        headers={
            "Last-Event-ID": {
                "description": "The number of the last event you received; the stream continues after it."
            }
        },
        responses=(
            ResponseSpec("Server-Sent Events, until the request is final", content_type="text/event-stream"),
            ResponseSpec("No more events will come: do not reconnect", status=204),
        ),
        refusals=(NotFound,),
    )
    def follow_image(request_id: str, query: EventsQuery) -> Response:
        """The request's past and future events, as Server-Sent Events: an event has its number as `id` and its type as
        `event`; `progress` events have no id, because they are not stored. Comments keep the connection alive."""
        last_event = streams.last_event_id(request, query.last_event_id)
        feed = RequestFeed(services, checked_id(request_id), g.caller.visible_user)
        return streams.follow(services, feed, last_event, g.credential_status)


def _await_news(services: Services, request_id: str, query: WaitQuery) -> None:
    services.lookup.await_news(request_id, query.wait, query.since, g.caller.visible_user, g.credential_status)


def checked_id(text: str) -> str:
    """The id in lower case, as it is stored. Raises NotFound for text that cannot be an id."""
    if not is_request_id(text.lower()):
        raise NotFound("Not found: a request id is a UUID, as returned by POST /api/images/generate.")
    return text.lower()


def _submitter(body: GenerateRequest) -> str:
    """The user that the request is submitted for. Raises Forbidden."""
    return g.caller.user_for(body.user_id if "user_id" in body.model_fields_set else None) or DEFAULT_USER
