"""Commands for users and their API keys."""

from collections.abc import Sequence

import click

from app.db.credentials import Key, User
from app.domain.access import Role, Scope, format_scopes
from app.domain.clock import wire_time
from app.domain.tiers import Tiers
from app.manage.console import DAY_MS, DAYS, SCOPES, GetServices, command, credential_state, last_use, print_rows


@command("create-user")
@click.argument("user")
@click.option("--operator", is_flag=True, help="The user may see and manage everything, with a key of the scope admin.")
@click.option("--tier", help="One of TIERS, which decides the order of the user's requests; by default the usual one.")
def create_user(get_services: GetServices, user: str, operator: bool, tier: str | None) -> None:
    """Create a user."""
    role = Role.OPERATOR if operator else Role.USER
    get_services().accounts.create_user(user, role, tier)
    click.echo(f"The {role.value} {user} is created.")


@command("set-tier")
@click.argument("user")
@click.argument("tier", required=False)
def set_tier(get_services: GetServices, user: str, tier: str | None) -> None:
    """Change the tier of a user.

    TIER is one of TIERS; without it the user gets the usual one. It decides the order of requests that are submitted from now
    on.
    """
    get_services().accounts.set_tier(user, tier)
    click.echo(f"{user} has {'the usual tier' if tier is None else f'the tier {tier}'}.")


@command("list-users")
def list_users(get_services: GetServices) -> None:
    """List the users.

    Columns: id, role, active or since when disabled, number of valid keys, tier. A tier in brackets is no longer one of TIERS;
    the usual one counts then.
    """
    services = get_services()
    rows = (_user_row(user, services.settings.tiers) for user in services.accounts.list_users())
    print_rows(rows, none="There are no users.")


@command("disable-user")
@click.argument("user")
def disable_user(get_services: GetServices, user: str) -> None:
    """Refuse a user's keys and tokens.

    This includes tokens that another issuer signed. Running requests continue.
    """
    get_services().accounts.disable_user(user)
    click.echo(f"{user} is disabled.")


@command("enable-user")
@click.argument("user")
def enable_user(get_services: GetServices, user: str) -> None:
    """Accept the keys and tokens of a disabled user again.

    Those that were revoked or have expired stay invalid.
    """
    get_services().accounts.enable_user(user)
    click.echo(f"{user} is enabled.")


@command("create-key")
@click.argument("user")
@click.option("--name", help="A name, shown by list-keys.")
@SCOPES
@DAYS
def create_key(get_services: GetServices, user: str, name: str | None, scopes: Sequence[str], days: int | None) -> None:
    """Create an API key for a user.

    It is printed on stdout, and is shown only this once.
    """
    key = get_services().accounts.create_key(user, map(Scope, scopes), name, days and days * DAY_MS)
    click.echo(f"The key {key.id} of {user}. It cannot be shown again:", err=True)
    click.echo(str(key))


@command("rotate-key")
@click.argument("key_id")
@click.option(
    "--overlap",
    metavar="DAYS",
    type=click.IntRange(0, 3_650),
    default=7,
    show_default=True,
    help="Days for which the old key stays valid; 0 revokes it at once.",
)
@DAYS
def rotate_key(get_services: GetServices, key_id: str, overlap: int, days: int | None) -> None:
    """Replace an API key with a new one.

    KEY_ID is the id of the old key, or the whole key. The new key has the same user, scopes and name. It is printed on stdout, and is shown only this once.
    """
    key = get_services().accounts.rotate_key(key_id, overlap * DAY_MS, days and days * DAY_MS)
    old = f"stays valid for {overlap} day{'s' * (overlap != 1)} at most" if overlap else "is revoked"
    click.echo(f"The key {key.id} replaces the old one, which {old}. It cannot be shown again:", err=True)
    click.echo(str(key))


@command("list-keys")
@click.option("--user", help="Only this user's.")
def list_keys(get_services: GetServices, user: str | None) -> None:
    """List the API keys.

    Columns: id, user, scopes, state, last use, name.
    """
    print_rows(map(_key_row, get_services().accounts.list_keys(user)), none="There are no keys.")


@command("revoke-key")
@click.argument("key_id")
def revoke_key(get_services: GetServices, key_id: str) -> None:
    """Revoke an API key.

    KEY_ID is its id or the whole key. Tokens that it was exchanged for become invalid too.
    """
    get_services().accounts.revoke_key(key_id)
    click.echo("The key is revoked.")


def _user_row(user: User, tiers: Tiers) -> tuple[str, ...]:
    tier = user.tier if user.tier in tiers.by_name else f"{tiers.default}{f' ({user.tier})' if user.tier else ''}"
    state = "active" if user.disabled_at is None else f"disabled {wire_time(user.disabled_at)}"
    return (user.id, user.role.value, state, f"{user.keys} {'key' if user.keys == 1 else 'keys'}", tier or "")


def _key_row(key: Key) -> tuple[str, ...]:
    state = credential_state(
        live=key.live, revoked=key.revoked_at is not None, disabled=key.disabled, expires_at=key.expires_at
    )
    return (key.id, key.user_id, format_scopes(key.scopes), state, last_use(key.last_used_at), key.name or "")


COMMANDS = (create_user, set_tier, list_users, disable_user, enable_user, create_key, rotate_key, list_keys, revoke_key)
