"""What owners do to their batches: pause, resume, change, cancel."""

from flask import g

from app.container import Services
from app.domain.access import Need
from app.domain.errors import (
    AlreadyFinished,
    Forbidden,
    NotFound,
)
from app.web.api import Api, ResponseSpec
from app.web.batch_request_schemas import BatchChangeBody, CancelBatchBody
from app.web.batch_schemas import BatchState
from app.web.batches import ONE_BATCH, TAG, checked_id


def operations(api: Api, services: Services) -> None:
    """Declare the operations of this module."""

    def state(batch_id: str) -> BatchState:
        return BatchState.of(services.batch_lookup.details(batch_id, g.caller.visible_user))

    @api.operation(
        "POST",
        f"{ONE_BATCH}/pause",
        tag=TAG,
        summary="Pause a batch",
        need=Need.WRITE,
        responses=(ResponseSpec("The batch is paused", BatchState),),
        refusals=(NotFound, AlreadyFinished),
    )
    def pause_batch(batch_id: str) -> BatchState:
        """Hand out no item until the batch is resumed. Those that extensions have begun go on. The time of the pause counts
        neither as waiting nor towards deadlines. Pausing it twice is not an error."""
        known = checked_id(batch_id)
        services.batch_control.pause(known, g.caller.visible_user, g.caller.user_id)
        return state(known)

    @api.operation(
        "POST",
        f"{ONE_BATCH}/resume",
        tag=TAG,
        summary="Resume a batch",
        need=Need.WRITE,
        responses=(ResponseSpec("The batch runs", BatchState),),
        refusals=(NotFound, AlreadyFinished),
    )
    def resume_batch(batch_id: str) -> BatchState:
        """Hand items out again. Resuming a batch that runs is not an error."""
        known = checked_id(batch_id)
        services.batch_control.resume(known, g.caller.visible_user)
        return state(known)

    @api.operation(
        "PATCH",
        ONE_BATCH,
        tag=TAG,
        summary="Change a batch",
        body=BatchChangeBody,
        need=Need.WRITE,
        responses=(ResponseSpec("The batch as it is now", BatchState),),
        refusals=(NotFound, Forbidden, AlreadyFinished),
    )
    def change_batch(batch_id: str, body: BatchChangeBody) -> BatchState:
        """Change the name, the concurrency, or the priority of all items that no extension has begun."""
        known = checked_id(batch_id)
        services.batch_control.change(
            known, g.caller.visible_user, name=body.name, concurrency=body.concurrency, priority=body.priority
        )
        return state(known)

    @api.operation(
        "POST",
        f"{ONE_BATCH}/cancel",
        tag=TAG,
        summary="Cancel a batch",
        body=CancelBatchBody,
        optional=True,
        need=Need.WRITE,
        responses=(ResponseSpec("The batch as it is now", BatchState),),
        refusals=(NotFound, AlreadyFinished),
    )
    def cancel_batch(batch_id: str, body: CancelBatchBody) -> BatchState:
        """Cancel every item that has not ended (`all`, the default), or those that no extension has begun (`waiting`), after
        which the batch is completed by the others. Cancelling it twice is not an error."""
        known = checked_id(batch_id)
        services.batch_control.cancel(known, g.caller.visible_user, waiting_only=body.scope == "waiting")
        return state(known)
