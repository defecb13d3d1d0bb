"""`imagefleet webhooks`: addresses that events are sent to."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from imagefleet.options import LIMIT, USER, command, group
from imagefleet.output.tables import Column
from imagefleet.output.terminal import local_time
from imagefleet.session import Session
from imagefleet.times import moment

if TYPE_CHECKING:
    from imagefleet.models import Delivery, Webhook

COLUMNS = (Column("ID"), Column("STATE"), Column("URL"), Column("EVENTS", optional=True), Column("WHY", shrinks=True))
DELIVERY_COLUMNS = (
    Column("ID"),
    Column("WHEN", optional=True),
    Column("EVENT"),
    Column("STATUS"),
    Column("TRIES", right=True, optional=True),
    Column("ANSWER", right=True, optional=True),
    Column("WHY", shrinks=True),
)
DELIVERY_STATUSES = ("pending", "delivered", "failed", "replaced")
ID = click.argument("webhook_id", metavar="WEBHOOK_ID")


@command("list", examples="imagefleet webhooks list\nimagefleet webhooks list --request REQUEST_ID")
@click.option("--request", "request_id", metavar="ID", help="That of one request or batch.")
@USER
def list_webhooks(session: Session, request_id: str | None = None, user: str | None = None) -> None:
    """List your webhooks, oldest first."""
    with session.connect() as client:
        found = client.webhooks(user_id=user, request_id=request_id)
        session.show_each(found, COLUMNS, _row, none="There is no webhook yet.")


@command(
    "create",
    examples="imagefleet webhooks create https://shop.example/hooks --event image.completed --event image.failed",
)
@click.argument("url")
@click.option(
    "--event", "events", multiple=True, help="An event to send; may be repeated. All but image.progress by default."
)
@click.option("--description", help="What it is for.")
@USER
def create_webhook(
    session: Session, url: str, events: tuple[str, ...], description: str | None, user: str | None
) -> None:
    """Have events of all your requests and batches sent to URL. Prints the webhook's ID and its secret, which is shown this once."""
    with session.connect() as client:
        made = client.create_webhook(url, events=events or None, description=description, user_id=user)
    session.show(made, made.webhook_id, made.secret or "")
    session.remark("The second line is the secret that events are signed with. It is not shown again: keep it.")


@command("test", examples="imagefleet webhooks test WEBHOOK_ID")
@ID
def test_webhook(session: Session, webhook_id: str) -> None:
    """Send a test event."""
    with session.connect() as client:
        delivery = client.test_webhook(webhook_id)
    session.show(delivery, delivery.delivery_id)
    session.remark(f"Sent soon; `imagefleet webhooks deliveries {webhook_id}` shows how it went.")


@command("deliveries", examples="imagefleet webhooks deliveries WEBHOOK_ID --status failed")
@ID
@click.option("--status", "state", type=click.Choice(DELIVERY_STATUSES), help="Only those with this status.")
@LIMIT
def list_deliveries(session: Session, webhook_id: str, state: str | None, limit: int) -> None:
    """List what was sent in the last 30 days, newest first, and why it failed."""
    with session.connect() as client:
        found = itertools.islice(client.webhook_deliveries(webhook_id, status=state), limit)
        session.show_each(found, DELIVERY_COLUMNS, _delivery_row, none="Nothing was sent.")


@command(
    "redeliver",
    examples="""
imagefleet webhooks redeliver WEBHOOK_ID --failed-since 12h
imagefleet webhooks redeliver WEBHOOK_ID --delivery DELIVERY_ID
""",
)
@ID
@click.option("--delivery", "delivery_id", metavar="ID", help="Only this one.")
@click.option(
    "--failed-since", metavar="TIME", callback=moment, help="All that failed since then: 2d, 12h, 2024-01-14T18:00."
)
def redeliver(session: Session, webhook_id: str, delivery_id: str | None, failed_since: datetime | None) -> None:
    """Send events again."""
    if (delivery_id is None) == (failed_since is None):
        raise click.UsageError("Name one of --delivery and --failed-since.")
    with session.connect() as client:
        done = client.redeliver(webhook_id, delivery_id=delivery_id, failed_since=failed_since)
    session.show(done, f"{done.count} sent again")


@command("enable", examples="imagefleet webhooks enable WEBHOOK_ID")
@ID
def enable(session: Session, webhook_id: str) -> None:
    """Send events again from now on."""
    _change(session, webhook_id, enabled=True)


@command("disable", examples="imagefleet webhooks disable WEBHOOK_ID")
@ID
def disable(session: Session, webhook_id: str) -> None:
    """Send nothing. What happens meanwhile is not kept for it."""
    _change(session, webhook_id, enabled=False)


@command("rotate", examples="imagefleet webhooks rotate WEBHOOK_ID\nimagefleet webhooks rotate --account")
@click.argument("webhook_id", metavar="[WEBHOOK_ID]", required=False)
@click.option("--account", is_flag=True, help="The secret for webhooks of single requests and batches.")
@USER
def rotate(session: Session, webhook_id: str | None, account: bool, user: str | None) -> None:
    """Make a new secret, and print it this once. Events are signed with the old one, too, for a day."""
    if (webhook_id is None) != account:
        raise click.UsageError("Name a webhook, or --account.")
    with session.connect() as client:
        made = client.rotate_webhook_secret(webhook_id, user_id=user)
    session.show(made, made.secret)
    if made.previous_secret_until is not None:
        session.remark(f"The previous secret is valid until {local_time(made.previous_secret_until)}.")


@command("delete", examples="imagefleet webhooks delete WEBHOOK_ID")
@ID
def delete(session: Session, webhook_id: str) -> None:
    """Remove a webhook and its deliveries."""
    with session.connect() as client:
        client.delete_webhook(webhook_id)
    session.remark(f"Removed the webhook {webhook_id}.")


webhooks = group(
    "webhooks",
    "Have events of your requests sent to an address of yours, and see what was sent.",
    list_webhooks,
    create_webhook,
    test_webhook,
    list_deliveries,
    redeliver,
    enable,
    disable,
    rotate,
    delete,
    examples="imagefleet webhooks\nimagefleet webhooks create https://shop.example/hooks",
)


def _change(session: Session, webhook_id: str, *, enabled: bool) -> None:
    with session.connect() as client:
        changed = client.change_webhook(webhook_id, enabled=enabled)
    session.show(changed, f"{changed.webhook_id} is {_state(changed)}")


def _state(webhook: Webhook) -> str:
    if not webhook.enabled:
        return "disabled"
    return "failing" if webhook.failing_since is not None and webhook.failing_since <= datetime.now(UTC) else "enabled"


def _row(webhook: Webhook) -> tuple[object, ...]:
    why = webhook.disabled_reason or webhook.description
    return webhook.webhook_id, _state(webhook), webhook.url, ",".join(webhook.events), why


def _delivery_row(sent: Delivery) -> tuple[object, ...]:
    at = sent.attempted_at or sent.occurred_at
    when = None if at is None else local_time(at)
    return sent.delivery_id, when, sent.type, sent.status, sent.attempts, sent.response_status, sent.error
