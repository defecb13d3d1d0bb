"""Batches: submit, list, get, follow."""

from flask import Response, g, request
from flask_limiter import Limiter

from app.container import Services
from app.domain.access import Need
from app.domain.batches import DEFAULT_CONCURRENCY, NewBatch
from app.domain.clock import wire_now
from app.domain.errors import (
    Forbidden,
    IdempotencyKeyReused,
    InvalidBatch,
    InvalidVariables,
    NotFound,
    QuotaExceeded,
    RateLimited,
    UnknownStyle,
    WebhookRefused,
)
from app.domain.ids import is_request_id
from app.domain.image_request import DEFAULT_USER
from app.web import idempotency, limits, streams
from app.web.api import Api, ResponseSpec
from app.web.batch_feed import BatchFeed
from app.web.batch_request_schemas import BatchQuery, ItemQuery, NewBatchBody, NewBatchQuery
from app.web.batch_schemas import BatchAccepted, BatchList, BatchState, Item, ItemList
from app.web.batch_uploads import BatchUploads, Upload
from app.web.request_schemas import EventsQuery, WaitQuery

TAG = "Batches"
BATCHES = "/api/batches"
ONE_BATCH = f"{BATCHES}/<batch_id>"


def operations(api: Api, services: Services, limiter: Limiter) -> None:
    """Declare the operations of this module."""

    @api.operation(
        "POST",
        BATCHES,
        tag=TAG,
        summary="Submit a batch",
        body=NewBatchBody,
        query=NewBatchQuery,
        uploads=BatchUploads(services.settings),
        need=Need.WRITE,
        headers=idempotency.REQUEST_HEADERS,
        responses=(
            ResponseSpec(
                "The batch is stored and will be processed",
                BatchAccepted,
                status=201,
                headers=(*limits.HEADERS, *idempotency.RESPONSE_HEADERS),
            ),
        ),
        refusals=(
            Forbidden,
            IdempotencyKeyReused,
            RateLimited,
            QuotaExceeded,
            InvalidBatch,
            InvalidVariables,
            UnknownStyle,
            WebhookRefused,
        ),
    )
    @limits.submitted_for(_submitter)
    @idempotency.once_only(services, "batches", _digest, BatchAccepted.of, status=201, expires=False)
    @limits.per_submission(limiter, services.settings.limits)
    def create_batch(body: Upload[NewBatchBody], query: NewBatchQuery) -> BatchAccepted:
        """Submit many requests at once. All of them are in the database before this responds, or none. They are ordinary
        requests, handed out a few at a time (`concurrency`). The body is JSON, or one JSON object a line, or a table with a
        header (`customId`, `prompt`, `model`, `priority`, `param.NAME`, `var.NAME`), or a text with a prompt a line. What the
        body does not say may be in the query, `param.NAME` and `var.NAME` included. A batch costs one token of the rate
        limit. Its `Idempotency-Key` is kept as long as the batch."""
        new = NewBatch(
            g.user_id,
            body.items,
            body.fields.defaults.defaults(),
            body.fields.name,
            body.fields.concurrency or DEFAULT_CONCURRENCY,
            body.fields.webhook,
        )
        left_out = body.left_out if query.partial else None
        return BatchAccepted.of(
            services.batch_creation.create(new, g.correlation_id, g.keyed_request, left_out=left_out)
        )

    @api.operation(
        "GET",
        BATCHES,
        tag=TAG,
        summary="List batches",
        query=BatchQuery,
        responses=(ResponseSpec("A page of batches, newest first", BatchList),),
        refusals=(Forbidden,),
    )
    def list_batches(query: BatchQuery) -> BatchList:
        """Batches, newest first: a user's own. Operators, and all callers if the service does not require authentication,
        get those of `userId`, or of all users without it."""
        page = services.batch_lookup.page(g.caller.listed_user(query.user_id), query.cursor, query.limit)
        return BatchList(
            batches=[BatchState.of(each) for each in page.batches], next_cursor=page.cursor, timestamp=wire_now()
        )

    @api.operation(
        "GET",
        ONE_BATCH,
        tag=TAG,
        summary="Get a batch",
        query=WaitQuery,
        responses=(ResponseSpec("The batch, and how far it is", BatchState),),
        refusals=(NotFound,),
    )
    def get_batch(batch_id: str, query: WaitQuery) -> BatchState:
        """Counts by status, progress, failures by code, and when it will be done. With `wait`, the response is sent as soon
        as an item has ended or the batch was changed since version `since`, or the batch has ended, or the time is over."""
        known = checked_id(batch_id)
        owner = g.caller.visible_user
        services.batch_lookup.await_news(known, query.wait, query.since, owner, g.credential_status)
        return BatchState.of(services.batch_lookup.details(known, owner))

    @api.operation(
        "GET",
        f"{ONE_BATCH}/items",
        tag=TAG,
        summary="List the items of a batch",
        query=ItemQuery,
        responses=(ResponseSpec("A page of items in their order", ItemList),),
        refusals=(NotFound,),
    )
    def list_batch_items(batch_id: str, query: ItemQuery) -> ItemList:
        """The items with their requests, in the order of the batch. An item that was tried again is its newest request."""
        known, owner = checked_id(batch_id), g.caller.visible_user
        page = services.batch_lookup.items(known, query.status, query.cursor, query.limit, owner)
        return ItemList(items=[Item.of(job) for job in page.items], next_cursor=page.cursor, timestamp=wire_now())

    @api.operation(
        "GET",
        f"{ONE_BATCH}/events",
        tag=TAG,
        summary="Follow a batch",
        query=EventsQuery,
        headers={
            "Last-Event-ID": {
                "description": "The number of the last event you received; the stream continues after it."
            }
        },
        responses=(
            ResponseSpec(
                "Server-Sent Events, until every item has ended", content_type="text/event-stream", follows="batch"
            ),
            ResponseSpec("No more events will come: do not reconnect", status=204),
        ),
        refusals=(NotFound,),
    )
    def follow_batch(batch_id: str, query: EventsQuery) -> Response:
        """The batch's past and future events, as Server-Sent Events: one for each item that ends, and one for each change of
        the batch. An event has its number as `id` and its type as `event`. Comments keep the connection alive."""
        last_event = streams.last_event_id(request, query.last_event_id)
        feed = BatchFeed(services, checked_id(batch_id), g.caller.visible_user)
        return streams.follow(services, feed, last_event, g.credential_status)


def checked_id(text: str) -> str:
    """The id in lower case, as it is stored. Raises NotFound for text that cannot be an id."""
    if not is_request_id(text.lower()):
        raise NotFound("Not found: a batch id is a UUID, as returned by POST /api/batches.")
    return text.lower()


def _submitter(body: Upload[NewBatchBody], query: NewBatchQuery) -> str:
    """The user that the batch is submitted for. Raises Forbidden."""
    fields = body.fields
    return g.caller.user_for(fields.user_id if "user_id" in fields.model_fields_set else None) or DEFAULT_USER


def _digest(body: Upload[NewBatchBody], query: NewBatchQuery) -> str:
    return body.digest()
