"""Webhooks: define, list, change and remove them, rotate their secrets, and see and repeat what was sent to them."""

from flask import Response, g
from flask_limiter import Limiter

from app.container import Services
from app.domain.access import Need
from app.domain.clock import wire_now, wire_time
from app.domain.errors import (
    Forbidden,
    InvalidRequest,
    NotFound,
    RateLimited,
    TooManyWebhooks,
    WebhookDisabled,
    WebhookRefused,
)
from app.domain.ids import is_request_id
from app.domain.image_request import DEFAULT_USER
from app.services.webhooks import WithSecret
from app.web import limits
from app.web.api import Api, ResponseSpec
from app.web.webhook_schemas import (
    AccountQuery,
    DeliveryDetails,
    DeliveryPage,
    DeliveryQuery,
    NewWebhook,
    Redelivered,
    Redelivery,
    WebhookChanges,
    WebhookCreated,
    WebhookDetails,
    WebhookListQuery,
    WebhookPage,
    WebhookSecret,
)

TAG = "Webhooks"
WEBHOOKS = "/api/webhooks"
ONE_WEBHOOK = f"{WEBHOOKS}/<webhook_id>"


def operations(api: Api, services: Services, limiter: Limiter) -> None:
    """Declare the operations of this module."""
    _definitions(api, services, limiter)
    _secrets(api, services)
    _deliveries(api, services, limiter)


def _definitions(api: Api, services: Services, limiter: Limiter) -> None:
    @api.operation(
        "POST",
        WEBHOOKS,
        tag=TAG,
        summary="Define a webhook",
        body=NewWebhook,
        need=Need.WRITE,
        responses=(ResponseSpec("The webhook is stored", WebhookCreated, status=201, headers=limits.HEADERS),),
        refusals=(Forbidden, WebhookRefused, TooManyWebhooks, RateLimited),
    )
    @limits.submitted_for(_owner)
    @limits.per_submission(limiter, services.settings.limits)
    def create_webhook(body: NewWebhook) -> WebhookCreated:
        """From now on, events of all your requests and batches are sent to this address, signed by Standard Webhooks 1.0.
        The answer shows the secret, which no other answer does."""
        made = services.webhooks.create(_user(g.user_id), body.target, body.description)
        return WebhookCreated.of(made.endpoint, secret=made.secret)

    @api.operation(
        "GET",
        WEBHOOKS,
        tag=TAG,
        summary="List webhooks",
        query=WebhookListQuery,
        responses=(ResponseSpec("A page of webhooks, oldest first", WebhookPage),),
        refusals=(Forbidden,),
    )
    def list_webhooks(query: WebhookListQuery) -> WebhookPage:
        """Your webhooks, or with `requestId` the one that was given with a request or batch."""
        page = services.webhooks.page(_user(query.user_id), query.request_id, query.cursor, query.limit)
        shown = [WebhookDetails.of(each) for each in page.endpoints]
        return WebhookPage(webhooks=shown, next_cursor=page.cursor, timestamp=wire_now())

    @api.operation(
        "GET",
        ONE_WEBHOOK,
        tag=TAG,
        summary="Get a webhook",
        responses=(ResponseSpec("The webhook", WebhookDetails),),
        refusals=(NotFound,),
    )
    def get_webhook(webhook_id: str) -> WebhookDetails:
        """Its address and events, and whether it works."""
        return WebhookDetails.of(services.webhooks.find(g.caller.visible_user, _checked_id(webhook_id)))

    @api.operation(
        "PATCH",
        ONE_WEBHOOK,
        tag=TAG,
        summary="Change a webhook",
        body=WebhookChanges,
        need=Need.WRITE,
        responses=(ResponseSpec("The webhook as it is now", WebhookDetails),),
        refusals=(NotFound, WebhookRefused),
    )
    def change_webhook(webhook_id: str, body: WebhookChanges) -> WebhookDetails:
        """Change its address, events or description, or disable and enable it. While it is disabled, events are not kept for
        it, and what was still to be sent fails; `redeliver` sends that later."""
        return WebhookDetails.of(services.webhooks.change(g.caller.visible_user, _checked_id(webhook_id), **body.given))

    @api.operation(
        "DELETE",
        ONE_WEBHOOK,
        tag=TAG,
        summary="Remove a webhook",
        need=Need.WRITE,
        responses=(ResponseSpec("The webhook is removed", status=204),),
        refusals=(NotFound,),
    )
    def remove_webhook(webhook_id: str) -> Response:
        """Nothing more is sent to it, and its deliveries are removed with it."""
        services.webhooks.remove(g.caller.visible_user, _checked_id(webhook_id))
        return Response(status=204)


def _secrets(api: Api, services: Services) -> None:
    @api.operation(
        "POST",
        f"{ONE_WEBHOOK}/rotate-secret",
        tag=TAG,
        summary="Rotate the secret of a webhook",
        need=Need.WRITE,
        responses=(ResponseSpec("The new secret", WebhookSecret),),
        refusals=(NotFound,),
    )
    def rotate_webhook_secret(webhook_id: str) -> WebhookSecret:
        """Make a new secret. For 24 hours events are signed with both, so that receivers can be changed meanwhile."""
        return _secret(services.webhooks.rotate_secret(g.caller.visible_user, _checked_id(webhook_id)))

    @api.operation(
        "POST",
        f"{WEBHOOKS}/account/rotate-secret",
        tag=TAG,
        summary="Rotate the secret of an account",
        query=AccountQuery,
        need=Need.WRITE,
        responses=(ResponseSpec("The new secret", WebhookSecret),),
        refusals=(Forbidden,),
    )
    def rotate_account_secret(query: AccountQuery) -> WebhookSecret:
        """Make a new secret for webhooks that are given with a request or batch. Call it once before the first of them, since
        no other answer shows the secret. For 24 hours events are signed with the previous one too."""
        return _secret(services.webhooks.rotate_account_secret(_user(query.user_id)))


def _deliveries(api: Api, services: Services, limiter: Limiter) -> None:
    @api.operation(
        "GET",
        f"{ONE_WEBHOOK}/deliveries",
        tag=TAG,
        summary="List deliveries",
        query=DeliveryQuery,
        responses=(ResponseSpec("A page of deliveries, newest first", DeliveryPage),),
        refusals=(NotFound,),
    )
    def list_deliveries(webhook_id: str, query: DeliveryQuery) -> DeliveryPage:
        """What was sent to the webhook in the last 30 days, how its receiver answered, and what is to be sent."""
        cursor = None if query.cursor is None else int(query.cursor)
        page = services.webhooks.deliveries(
            g.caller.visible_user, _checked_id(webhook_id), query.status, cursor, query.limit
        )
        return DeliveryPage(
            deliveries=[DeliveryDetails.of(each) for each in page.deliveries],
            next_cursor=None if page.cursor is None else str(page.cursor),
            timestamp=wire_now(),
        )

    @api.operation(
        "POST",
        f"{ONE_WEBHOOK}/redeliver",
        tag=TAG,
        summary="Send events again",
        body=Redelivery,
        need=Need.WRITE,
        responses=(ResponseSpec("They will be sent", Redelivered, status=202, headers=limits.HEADERS),),
        refusals=(NotFound, WebhookDisabled, RateLimited),
    )
    @limits.submitted_for(lambda webhook_id, body: _user(None))
    @limits.per_submission(limiter, services.settings.limits)
    def redeliver(webhook_id: str, body: Redelivery) -> Redelivered:
        """Send one event again, or all that failed since a time, with their own ids and sequence numbers."""
        user, known = g.caller.visible_user, _checked_id(webhook_id)
        if (body.delivery_id is None) == (body.failed_since is None):
            raise InvalidRequest(
                "deliveryId or failedSince must say what is to be sent again; only one of them may be given."
            )
        if body.delivery_id is not None:
            count = services.webhooks.redeliver(user, known, body.delivery_id)
        else:
            count = services.webhooks.redeliver_failed(user, known, body.failed_since or 0)
        return Redelivered(count=count, timestamp=wire_now())

    @api.operation(
        "POST",
        f"{ONE_WEBHOOK}/test",
        tag=TAG,
        summary="Send a test event",
        need=Need.WRITE,
        responses=(ResponseSpec("It will be sent", DeliveryDetails, status=202, headers=limits.HEADERS),),
        refusals=(NotFound, WebhookDisabled, RateLimited),
    )
    @limits.submitted_for(lambda webhook_id: _user(None))
    @limits.per_submission(limiter, services.settings.limits)
    def send_test_event(webhook_id: str) -> DeliveryDetails:
        """Send an event of the type `webhook.test`, once: `deliveries` shows how it went."""
        return DeliveryDetails.of(services.webhooks.test(g.caller.visible_user, _checked_id(webhook_id)))


def _secret(made: WithSecret) -> WebhookSecret:
    until = made.endpoint.previous_until
    return WebhookSecret(secret=made.secret, previous_secret_until=None if until is None else wire_time(until))


def _owner(body: NewWebhook) -> str:
    return _user(body.user_id if "user_id" in body.model_fields_set else None)


def _user(claimed: str | None) -> str:
    """The user whose webhooks are meant. Raises Forbidden."""
    return g.caller.user_for(claimed) or DEFAULT_USER


def _checked_id(text: str) -> str:
    """The id in lower case, as it is stored. Raises NotFound for text that cannot be an id."""
    if not is_request_id(text.lower()):
        raise NotFound("Not found: a webhook id is a UUID, as GET /api/webhooks lists them.")
    return text.lower()
