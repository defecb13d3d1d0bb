"""Giving a batch more to do: try items again, add items."""

from flask import g
from flask_limiter import Limiter

from app.container import Services
from app.domain.access import Need
from app.domain.errors import (
    AlreadyFinished,
    Forbidden,
    InvalidBatch,
    InvalidVariables,
    NotFound,
    QuotaExceeded,
    RateLimited,
    UnknownStyle,
)
from app.domain.image_request import DEFAULT_USER
from app.domain.states import Status
from app.web import limits
from app.web.api import Api, ResponseSpec
from app.web.batch_request_schemas import MoreItemsBody, PartialQuery, RetryBody
from app.web.batch_schemas import BatchState
from app.web.batch_uploads import BatchUploads, Upload
from app.web.batches import ONE_BATCH, TAG, checked_id

REFUSALS = (
    NotFound,
    AlreadyFinished,
    Forbidden,
    RateLimited,
    QuotaExceeded,
    InvalidBatch,
    InvalidVariables,
    UnknownStyle,
)


def operations(api: Api, services: Services, limiter: Limiter) -> None:
    """Declare the operations of this module."""

    def state(batch_id: str) -> BatchState:
        return BatchState.of(services.batch_lookup.details(batch_id, g.caller.visible_user))

    @api.operation(
        "POST",
        f"{ONE_BATCH}/retry",
        tag=TAG,
        summary="Try items again",
        body=RetryBody,
        need=Need.WRITE,
        responses=(ResponseSpec("The batch as it is now", BatchState, headers=limits.HEADERS),),
        refusals=REFUSALS,
    )
    @limits.submitted_for(lambda batch_id, body: _submitter())
    @limits.per_submission(limiter, services.settings.limits)
    def retry_batch(batch_id: str, body: RetryBody) -> BatchState:
        """Try items that have ended again, all with a `status` and those named in `items`, with another prompt or other
        parameters if you like. Each is a new request (`retryOf`) in the place of the old one, which stays as it is. A batch
        that has ended runs again."""
        known, owner = checked_id(batch_id), g.caller.visible_user
        status = "failed" if body.status is None and body.items is None else body.status
        services.batch_retrying.retry(
            known, None if status is None else Status(status), [item.edit() for item in body.items or ()], owner
        )
        return state(known)

    @api.operation(
        "POST",
        f"{ONE_BATCH}/items",
        tag=TAG,
        summary="Add items to a batch",
        body=MoreItemsBody,
        query=PartialQuery,
        uploads=BatchUploads(services.settings),
        need=Need.WRITE,
        responses=(ResponseSpec("The batch as it is now", BatchState, headers=limits.HEADERS),),
        refusals=REFUSALS,
    )
    @limits.submitted_for(lambda batch_id, body, query: _submitter())
    @limits.per_submission(limiter, services.settings.limits)
    def add_batch_items(batch_id: str, body: Upload[MoreItemsBody], query: PartialQuery) -> BatchState:
        """Add items behind the others, with the defaults of the batch, in any of the formats of a new batch. A batch that is
        completed runs again."""
        known, owner = checked_id(batch_id), g.caller.visible_user
        left_out = body.left_out if query.partial else None
        added = services.batch_creation.add(known, body.items, owner, left_out=left_out)
        return BatchState.of(services.batch_lookup.details(known, owner), added.left_out)


def _submitter() -> str:
    """The user that the limits count for."""
    return g.caller.user_id or DEFAULT_USER
