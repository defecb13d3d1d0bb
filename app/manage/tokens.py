"""Commands for tokens of extensions and for signed tokens (JWT)."""

from collections.abc import Sequence

import click

from app.db.credentials import ExtensionToken
from app.domain.access import Role, Scope
from app.manage import pairing
from app.manage.console import DAY_MS, DAYS, SCOPES, GetServices, command, credential_state, last_use, print_rows

MINUTE_MS = 60_000


@command("create-extension-token")
@click.argument("extension_id")
@DAYS
@click.option(
    "--pairing",
    "paired",
    is_flag=True,
    help="Print a pairing code instead, to paste into the options of a browser extension.",
)
@click.option(
    "--server",
    callback=pairing.address,
    help="With --pairing: the address of the service for that browser; by default where the running service is reached.",
)
def create_extension_token(
    get_services: GetServices, extension_id: str, days: int | None, paired: bool, server: str | None
) -> None:
    """Create a token for an extension.

    Only the extension with this id can connect with it. It is printed on stdout, and is shown only this once.
    """
    if server and not paired:
        raise click.UsageError("--server can only be used with --pairing.")
    services = get_services()
    if paired:
        server = server or pairing.known_address(services)
    token = services.accounts.create_extension_token(extension_id, days and days * DAY_MS)
    label, secret = f"The token {token.id} of the extension {extension_id}.", str(token)
    if server:
        label = f"The pairing code of the extension {extension_id} (token {token.id}) for {server}."
        secret = pairing.code(server, extension_id, secret)
    click.echo(f"{label} It cannot be shown again:", err=True)
    click.echo(secret)


@command("list-extension-tokens")
@click.option("--extension", "extension_id", help="Only this extension's.")
def list_extension_tokens(get_services: GetServices, extension_id: str | None) -> None:
    """List the tokens of extensions.

    Columns: id, extension, state, last use.
    """
    tokens = get_services().accounts.list_extension_tokens(extension_id)
    print_rows(map(_row, tokens), none="There are no tokens of extensions.")


@command("revoke-extension-token")
@click.argument("token_id")
def revoke_extension_token(get_services: GetServices, token_id: str) -> None:
    """Revoke the token of an extension.

    TOKEN_ID is its id or the whole token. A connection that uses it is closed within seconds.
    """
    get_services().accounts.revoke_extension_token(token_id)
    click.echo("The extension's token is revoked.")


@command("issue-token")
@click.argument("subject")
@SCOPES
@click.option("--extension", is_flag=True, help="SUBJECT is the id of an extension.")
@click.option(
    "--minutes", type=click.IntRange(1, 525_600), help="Minutes after which it expires; by default TOKEN_LIFETIME_MS."
)
def issue_token(
    get_services: GetServices, subject: str, scopes: Sequence[str], extension: bool, minutes: int | None
) -> None:
    """Create a signed token (JWT).

    SUBJECT is the id of a user, or of an extension with --extension. The token is printed on stdout.
    """
    role = Role.EXTENSION if extension else None
    wanted = map(Scope, scopes)
    token, seconds, _ = get_services().accounts.issue_token(subject, role, wanted, minutes and minutes * MINUTE_MS)
    click.echo(f"A token for {subject}, valid for {seconds} seconds:", err=True)
    click.echo(token)


@command("revoke-token")
@click.argument("token")
def revoke_token(get_services: GetServices, token: str) -> None:
    """Revoke a signed token (JWT).

    TOKEN is the whole token or its id (the claim jti).
    """
    click.echo(f"The token {get_services().accounts.revoke_token(token)} is revoked.")


def _row(token: ExtensionToken) -> tuple[str, ...]:
    state = credential_state(live=token.live, revoked=token.revoked_at is not None, expires_at=token.expires_at)
    return (token.id, token.extension_id, state, last_use(token.last_used_at))


COMMANDS = (create_extension_token, list_extension_tokens, revoke_extension_token, issue_token, revoke_token)
