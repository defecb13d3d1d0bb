"""Commands for webhooks."""

import click

from app.db.webhooks import Endpoint
from app.domain.clock import wire_time
from app.manage.console import GetServices, command, print_rows, printable

PAGE = 1_000


@command("list-webhooks")
@click.argument("user_id")
def list_webhooks(get_services: GetServices, user_id: str) -> None:
    """List the webhooks of a user.

    Columns: id, state, address.
    """
    page = get_services().webhooks.page(user_id, None, None, PAGE)
    print_rows(map(_row, page.endpoints), none=f"{user_id} has no webhooks.")


@command("rotate-webhook-secret")
@click.argument("webhook_id")
@click.option(
    "--account", is_flag=True, help="WEBHOOK_ID is the id of a user: rotate the secret of webhooks of requests."
)
def rotate_webhook_secret(get_services: GetServices, webhook_id: str, account: bool) -> None:
    """Make a new secret for a webhook.

    For 24 hours events are signed with both. The new one is printed on stdout, and is shown only this once.
    """
    webhooks = get_services().webhooks
    made = webhooks.rotate_account_secret(webhook_id) if account else webhooks.rotate_secret(None, webhook_id)
    until = made.endpoint.previous_until
    overlap = "" if until is None else f" The previous one is valid until {wire_time(until)}."
    click.echo(f"The new secret of {webhook_id}.{overlap} It cannot be shown again:", err=True)
    click.echo(made.secret)


def _row(endpoint: Endpoint) -> tuple[str, ...]:
    state = "enabled" if endpoint.enabled else f"disabled ({printable(endpoint.disabled_reason or '')})"
    return (endpoint.id, state, printable(endpoint.url))


COMMANDS = (list_webhooks, rotate_webhook_secret)
