"""The bodies that webhooks receive, in the form of Standard Webhooks: type, timestamp, data."""

from collections.abc import Callable
from typing import Any

from pydantic import Field

from app.container import Services
from app.domain.clock import wire_time
from app.domain.webhooks import WebhookEvent
from app.domain.wire_types import Time, WireModel
from app.service_address import service_address
from app.services.lookup import JobDetails
from app.services.webhook_delivery import Message
from app.web import presenters
from app.web.api import json_text
from app.web.batch_schemas import BatchState
from app.web.picture_addresses import PictureAddresses


class WebhookPayload(WireModel):
    """An event, as it is sent to webhooks."""

    type: WebhookEvent
    timestamp: Time = Field(description="when it happened")
    event_id: str = Field(description="the same as the header `webhook-id`, for every attempt and every webhook")
    sequence: int = Field(
        description="the order of the events of one request or batch: later ones have greater numbers"
    )
    data: dict[str, Any] = Field(
        description="what `GET /api/images/{requestId}` answered right after the event; for a batch, what its own `GET` did"
    )


def renderer(services: Services) -> Callable[[Message], str]:
    """A function that makes the body of a message."""
    addresses = PictureAddresses(service_address(services.settings), services.picture_grants)

    def render(message: Message) -> str:
        payload = WebhookPayload(
            type=message.type,
            timestamp=wire_time(message.at),
            event_id=message.event_id,
            sequence=message.sequence,
            data=_data(message, addresses),
        )
        return json_text(payload)

    return render


def _data(message: Message, addresses: PictureAddresses) -> dict[str, Any]:
    answer: WireModel
    if message.job is not None:
        answer = presenters.result(JobDetails(message.job, images=message.images), addresses)
    elif message.batch is not None:
        answer = BatchState.of(message.batch)
    else:
        return dict(message.answer or {})
    return answer.model_copy(update={"timestamp": wire_time(message.at)}).model_dump(mode="json", exclude_none=True)
