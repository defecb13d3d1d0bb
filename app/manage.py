"""`python -m app.manage`: what an operator does about users, keys and tokens. A secret is shown once, and never again."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

import click

from app.config import BadSetting, Settings
from app.domain.access import Role, Scope, scope_text
from app.domain.clock import wire_time
from app.domain.errors import Refusal
from app.launch.checks import NotReady
from app.launch.schema import migrate
from app.services.accounts import Accounts
from app.wiring import build, real_tools

DAY_MS = 86_400_000
MINUTE_MS = 60_000
SCOPES = click.option(
    "--scope",
    "scopes",
    type=click.Choice([scope.value for scope in Scope]),
    multiple=True,
    default=(Scope.READ.value, Scope.WRITE.value),
    show_default="read, write",
    help="What it may be used for; give it again for another.",
)
DAYS = click.option("--days", type=click.IntRange(1, 36_500), help="How long it is good; for ever without it.")
Command = Callable[..., None]


def _told(command: Command) -> Command:
    """A refusal is one line."""

    @wraps(command)
    def run(*said: Any, **named: Any) -> None:
        try:
            command(*said, **named)
        except (Refusal, BadSetting, NotReady) as refusal:
            raise click.ClickException(str(refusal)) from None

    return run


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.pass_context
def main(ctx: click.Context) -> None:
    """Make and end what others come in with. The service's own settings say which database that is in."""
    ctx.obj = _accounts


@main.command("create-user")
@click.argument("user")
@click.option("--operator", is_flag=True, help="One who sees and does everything, with a key of the scope admin.")
@click.pass_obj
@_told
def create_user(accounts: Callable[[], Accounts], user: str, operator: bool) -> None:
    """Let there be a user."""
    role = Role.OPERATOR if operator else Role.USER
    accounts().create_user(user, role)
    click.echo(f"{user} is a user now." if role is Role.USER else f"{user} is an operator now.")


@main.command("create-key")
@click.argument("user")
@click.option("--name", help="What it is for, as list-keys shows it.")
@SCOPES
@DAYS
@click.pass_obj
@_told
def create_key(
    accounts: Callable[[], Accounts], user: str, name: str | None, scopes: Sequence[str], days: int | None
) -> None:
    """Make an API key of a user. The key alone goes to stdout."""
    key = accounts().create_key(user, map(Scope, scopes), name, days and days * DAY_MS)
    click.echo(f"The key {key.id} of {user}. It cannot be shown again:", err=True)
    click.echo(str(key))


@main.command("list-keys")
@click.option("--user", help="Only this user's.")
@click.pass_obj
@_told
def list_keys(accounts: Callable[[], Accounts], user: str | None) -> None:
    """List keys: id, user, scopes, whether it is good, when it was used last, its name."""
    for key in accounts().list_keys(user):
        state = "live" if key.live else "revoked" if key.revoked_at is not None else "expired"
        used = "never used" if key.last_used_at is None else f"used {wire_time(key.last_used_at)}"
        click.echo("  ".join([key.id, key.user_id, scope_text(key.scopes), state, used, key.name or ""]).rstrip())


@main.command("revoke-key")
@click.argument("key_id")
@click.pass_obj
@_told
def revoke_key(accounts: Callable[[], Accounts], key_id: str) -> None:
    """End a key, and every token that was made from it."""
    accounts().revoke_key(key_id)
    click.echo(f"The key {key_id} is revoked.")


@main.command("create-extension-token")
@click.argument("extension_id")
@DAYS
@click.pass_obj
@_told
def create_extension_token(accounts: Callable[[], Accounts], extension_id: str, days: int | None) -> None:
    """Make a token that lets this extension in, and no other go by its id. The token alone goes to stdout."""
    token = accounts().create_extension_token(extension_id, days and days * DAY_MS)
    click.echo(f"The token {token.id} of the extension {extension_id}. It cannot be shown again:", err=True)
    click.echo(str(token))


@main.command("revoke-extension-token")
@click.argument("token_id")
@click.pass_obj
@_told
def revoke_extension_token(accounts: Callable[[], Accounts], token_id: str) -> None:
    """End an extension's token; the socket that came in with it is closed."""
    accounts().revoke_extension_token(token_id)
    click.echo(f"The extension token {token_id} is revoked.")


@main.command("issue-token")
@click.argument("subject")
@SCOPES
@click.option("--extension", is_flag=True, help="For the extension of this id, not for a user.")
@click.option("--minutes", type=click.IntRange(1, 525_600), help="How long it is good; TOKEN_LIFETIME_MS without it.")
@click.pass_obj
@_told
def issue_token(
    accounts: Callable[[], Accounts], subject: str, scopes: Sequence[str], extension: bool, minutes: int | None
) -> None:
    """Make a signed token for a user or an extension. The token alone goes to stdout."""
    role = Role.EXTENSION if extension else None
    token, seconds, _ = accounts().issue_token(subject, role, map(Scope, scopes), minutes and minutes * MINUTE_MS)
    click.echo(f"A token for {subject}, good for {seconds} s:", err=True)
    click.echo(token)


def _accounts() -> Accounts:
    """Raises BadSetting, NotReady, Unavailable."""
    settings = Settings.from_env()
    migrate(settings)
    return build(real_tools(settings)).accounts


if __name__ == "__main__":
    sys.exit(main())
