"""The queue: its state, and pausing and resuming it."""

from flask import Response, g

from app.container import Services
from app.domain.access import Need
from app.domain.errors import Forbidden, NotFound
from app.services.queue_status import PauseState
from app.web.api import Api, ResponseSpec
from app.web.queue_schemas import PausedPart, PauseRequest, QueueState, ResumeRequest

TAG = "Queue"


def operations(api: Api, services: Services) -> None:
    """Declare the operations of this module."""

    @api.operation(
        "GET",
        "/api/queue",
        tag=TAG,
        summary="Get the state of the queue",
        responses=(ResponseSpec("The state of the queue", QueueState),),
        refusals=(Forbidden,),
    )
    def get_queue() -> QueueState:
        """How many requests wait for each model in each class, what is paused and why, the slots of the extensions, and how
        many requests were completed lately. Users see no pauses of other users and of extensions, and not who paused
        something."""
        return QueueState.of(services.queue_status.overview(g.caller.visible_user))

    @api.operation(
        "POST",
        "/api/queue/pause",
        tag=TAG,
        summary="Pause the queue or a part of it",
        body=PauseRequest,
        need=Need.OPERATE,
        responses=(ResponseSpec("It is paused", PausedPart),),
        refusals=(Forbidden, NotFound),
    )
    def pause_queue(body: PauseRequest) -> PausedPart:
        """Hand out no more requests: none at all, none for a model, none of a user, or none to an extension. What was handed
        out goes on, and new requests are accepted and wait. While a queue is paused, its requests neither age nor time out,
        unless they have a `deadlineMs`. Pausing what is paused changes its note and its end."""
        pause = services.queue_controls.pause(
            body.target(), note=body.note, until=body.until, drain=body.drain, by=g.caller.user_id
        )
        return PausedPart.of(PauseState(pause))

    @api.operation(
        "POST",
        "/api/queue/resume",
        tag=TAG,
        summary="Resume the queue or a part of it",
        body=ResumeRequest,
        need=Need.OPERATE,
        responses=(ResponseSpec("It is not paused any more", status=204),),
        refusals=(Forbidden,),
    )
    def resume_queue(body: ResumeRequest) -> Response:
        """End a pause. `{}` ends that of everything; what is paused by its own pause stays paused. It is no error if it is
        not paused. (A pause that the failures of an extension led to is ended by `DELETE /api/extensions/{extensionId}/pause`.)"""
        services.queue_controls.resume(body.target())
        return Response(status=204)
