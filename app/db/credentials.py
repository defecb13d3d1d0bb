"""Credentials: users and their keys, the tokens of extensions, and revoked tokens."""

import hashlib
from dataclasses import dataclass

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Label,
    RowMapping,
    Table,
    bindparam,
    case,
    delete,
    func,
    insert,
    literal,
    or_,
    select,
    union_all,
    update,
)

from app.db.clock import now_ms
from app.db.credential_tables import api_keys, extension_tokens, revoked_tokens, users
from app.db.engine import Transaction
from app.domain.access import CredentialKind, Role, Scope, format_scopes, parse_scopes

USED_EVERY_MS = 60_000
USER = "user"

# executed by each process every other second; the subquery reads the clock once, not for each row
_SINCE = select(now_ms() - bindparam("window", type_=BigInteger)).scalar_subquery()
_ENDED = union_all(
    *(
        select(literal(str(kind)).label("kind"), name.label("id")).where(ended_at >= _SINCE)
        for kind, name, ended_at in (
            (USER, users.c.id, users.c.disabled_at),
            (CredentialKind.KEY, api_keys.c.id, api_keys.c.revoked_at),
            (CredentialKind.TOKEN, revoked_tokens.c.jti, revoked_tokens.c.revoked_at),
            (CredentialKind.EXTENSION_TOKEN, extension_tokens.c.id, extension_tokens.c.revoked_at),
        )
    )
)


@dataclass(frozen=True, slots=True)
class User:
    """A user. Times in ms since the epoch; `keys` counts the keys that are neither expired nor revoked."""

    id: str
    role: Role
    created_at: int
    disabled_at: int | None
    tier: str | None
    keys: int


@dataclass(frozen=True, slots=True)
class Key:
    """A user's key. Times in ms since the epoch; `live` is about the key itself, `disabled` about its user."""

    id: str
    user_id: str
    role: Role
    name: str | None
    hash: str
    scopes: frozenset[Scope]
    created_at: int
    expires_at: int | None
    revoked_at: int | None
    last_used_at: int | None
    live: bool
    disabled: bool


@dataclass(frozen=True, slots=True)
class ExtensionToken:
    """An extension's token. Times in ms since the epoch."""

    id: str
    extension_id: str
    hash: str
    expires_at: int | None
    revoked_at: int | None
    last_used_at: int | None
    live: bool


def add_user(tx: Transaction, user_id: str, role: Role) -> bool:
    """Add a user; False if the id exists already."""
    row = tx.upsert(users).values(id=user_id, role=role.value, created_at=tx.now).on_conflict_do_nothing()
    return tx.connection.execute(row.returning(users.c.id)).first() is not None


def role_of(connection: Connection, user_id: str) -> Role | None:
    """The user's role; None if there is no such user."""
    role = connection.execute(select(users.c.role).where(users.c.id == user_id)).scalar()
    return None if role is None else Role(role)


def tier_of(connection: Connection, user_id: str) -> str | None:
    """The name of the user's tier; None for the default one."""
    return connection.execute(_TIER, {"user_id": user_id}).scalar()


def set_tier(tx: Transaction, user_id: str, tier: str | None) -> bool:
    """Change the user's tier, None for the default one; False if there is no such user."""
    return tx.connection.execute(update(users).where(users.c.id == user_id).values(tier=tier)).rowcount == 1


def all_users(connection: Connection) -> list[User]:
    """All users, ordered by id."""
    valid = (api_keys.c.user_id == users.c.id, _live(api_keys))
    count = select(func.count()).where(*valid).scalar_subquery()
    query = select(users, count.label("keys")).order_by(users.c.id)
    return [
        User(row.id, Role(row.role), row.created_at, row.disabled_at, row.tier, row.keys)
        for row in connection.execute(query)
    ]


def disable(tx: Transaction, user_id: str) -> None:
    """Disable the user; an unknown user is added first. Idempotent."""
    row = tx.upsert(users).values(id=user_id, role=Role.USER.value, created_at=tx.now, disabled_at=tx.now)
    again = func.coalesce(users.c.disabled_at, tx.now)
    tx.connection.execute(row.on_conflict_do_update(index_elements=["id"], set_={"disabled_at": again}))


def enable(tx: Transaction, user_id: str) -> bool:
    """Enable the user again; False if there is no such user. Idempotent."""
    enabled = tx.connection.execute(update(users).where(users.c.id == user_id).values(disabled_at=None))
    return enabled.rowcount == 1


def is_disabled(connection: Connection, user_id: str) -> bool:
    """True for a user who exists and is disabled."""
    return connection.execute(_DISABLED, {"user_id": user_id}).first() is not None


def add_key(
    tx: Transaction,
    key_id: str,
    digest: str,
    user_id: str,
    scopes: frozenset[Scope],
    name: str | None,
    expires_at: int | None,
) -> None:
    values = {"id": key_id, "hash": digest, "user_id": user_id, "scope": format_scopes(scopes), "name": name}
    tx.connection.execute(insert(api_keys).values(**values, created_at=tx.now, expires_at=expires_at))


def key(connection: Connection, key_id: str) -> Key | None:
    row = connection.execute(_KEY, {"key_id": key_id}).mappings().first()
    return None if row is None else _key(row)


def expire_key(tx: Transaction, key_id: str, at_ms: int) -> bool:
    """Let the key expire at `at_ms`, unless it does so before; False if it is not valid any more."""
    earlier = case((api_keys.c.expires_at < at_ms, api_keys.c.expires_at), else_=at_ms)
    valid = (api_keys.c.id == key_id, api_keys.c.revoked_at.is_(None), _not_expired(api_keys))
    return tx.connection.execute(update(api_keys).where(*valid).values(expires_at=earlier)).rowcount == 1


def keys(connection: Connection, user_id: str | None = None) -> list[Key]:
    """The keys of one user or of all, oldest first."""
    query = _keys.order_by(api_keys.c.created_at, api_keys.c.id)
    if user_id is not None:
        query = query.where(api_keys.c.user_id == user_id)
    return [_key(row) for row in connection.execute(query).mappings()]


def add_extension_token(tx: Transaction, token_id: str, digest: str, extension_id: str, expires_at: int | None) -> None:
    values = {"id": token_id, "hash": digest, "extension_id": extension_id, "expires_at": expires_at}
    tx.connection.execute(insert(extension_tokens).values(**values, created_at=tx.now))


def extension_token(connection: Connection, token_id: str) -> ExtensionToken | None:
    row = connection.execute(select(*_TOKEN).where(extension_tokens.c.id == token_id)).first()
    return None if row is None else ExtensionToken(*row)


def tokens_of(connection: Connection, extension_id: str | None) -> list[ExtensionToken]:
    """The tokens of one extension or of all, oldest first."""
    query = select(*_TOKEN).order_by(extension_tokens.c.created_at, extension_tokens.c.id)
    if extension_id is not None:
        query = query.where(extension_tokens.c.extension_id == extension_id)
    return [ExtensionToken(*row) for row in connection.execute(query)]


def is_claimed(connection: Connection, extension_id: str) -> bool:
    """True if the extension has a token that is not revoked: its id then requires that token."""
    unrevoked = (extension_tokens.c.extension_id == extension_id, extension_tokens.c.revoked_at.is_(None))
    return connection.execute(select(literal(1)).where(*unrevoked).limit(1)).first() is not None


def used(tx: Transaction, table: Table, row_id: str) -> None:
    """Store that a key or token was used, once a minute."""
    long_ago = or_(table.c.last_used_at.is_(None), table.c.last_used_at <= tx.now - USED_EVERY_MS)
    tx.connection.execute(update(table).where(table.c.id == row_id, long_ago).values(last_used_at=tx.now))


def revoke(tx: Transaction, table: Table, row_id: str) -> bool:
    """Revoke a key or token; False if there is none of that id. Idempotent."""
    tx.connection.execute(
        update(table).where(table.c.id == row_id, table.c.revoked_at.is_(None)).values(revoked_at=tx.now)
    )
    return tx.connection.execute(select(literal(1)).where(table.c.id == row_id)).first() is not None


def revoke_token(tx: Transaction, jti: str, expires_at: int) -> None:
    """Revoke a token, and delete the revocations of expired tokens."""
    tx.connection.execute(delete(revoked_tokens).where(revoked_tokens.c.expires_at < tx.now - USED_EVERY_MS))
    row = tx.upsert(revoked_tokens).values(jti=jti, expires_at=expires_at, revoked_at=tx.now)
    tx.connection.execute(row.on_conflict_do_nothing())


def revoke_all(tx: Transaction, user_id: str, expires_at: int) -> None:
    """Revoke every token of the user that was issued up to now, also those that another issuer signed."""
    values = {"jti": everything_of(user_id), "expires_at": expires_at, "revoked_at": tx.now}
    row = tx.upsert(revoked_tokens).values(values)
    tx.connection.execute(row.on_conflict_do_update(index_elements=["jti"], set_=values))


def everything_of(user_id: str) -> str:
    """In place of a token's id: all tokens of the user. It is no id of a token, and does not tell who the user was."""
    return f"user {hashlib.sha256(user_id.encode()).hexdigest()}"


def all_revoked_at(connection: Connection, user_id: str) -> int | None:
    """When all tokens of the user were revoked (ms), if they were."""
    return connection.execute(_REVOKED_AT, {"jti": everything_of(user_id)}).scalar()


def is_revoked(connection: Connection, jti: str) -> bool:
    return connection.execute(_REVOKED, {"jti": jti}).first() is not None


def ended_within(connection: Connection, window_ms: int) -> set[tuple[str, str]]:
    """Kind (`USER` or a `CredentialKind`) and id of everything disabled or revoked in the last `window_ms`."""
    return {(row.kind, row.id) for row in connection.execute(_ENDED, {"window": window_ms})}


def _key(row: RowMapping) -> Key:
    return Key(**{**row, "role": Role(row["role"]), "scopes": parse_scopes(row["scopes"])})


def _live(table: Table) -> Label[bool]:
    return (table.c.revoked_at.is_(None) & _not_expired(table)).label("live")


def _not_expired(table: Table) -> ColumnElement[bool]:
    return or_(table.c.expires_at.is_(None), table.c.expires_at > now_ms())


_KEY_COLUMNS = ("id", "user_id", "name", "hash", "created_at", "expires_at", "revoked_at", "last_used_at")
_keys = select(
    *(api_keys.c[name] for name in _KEY_COLUMNS),
    *(users.c.role, api_keys.c.scope.label("scopes"), _live(api_keys)),
    users.c.disabled_at.is_not(None).label("disabled"),
).join(users)
_KEY = _keys.where(api_keys.c.id == bindparam("key_id"))
_DISABLED = select(literal(1)).where(users.c.id == bindparam("user_id"), users.c.disabled_at.is_not(None))
_TIER = select(users.c.tier).where(users.c.id == bindparam("user_id"))
_REVOKED = select(literal(1)).where(revoked_tokens.c.jti == bindparam("jti"))
_REVOKED_AT = select(revoked_tokens.c.revoked_at).where(revoked_tokens.c.jti == bindparam("jti"))
_TOKEN_COLUMNS = ("id", "extension_id", "hash", "expires_at", "revoked_at", "last_used_at")
_TOKEN = (*(extension_tokens.c[name] for name in _TOKEN_COLUMNS), _live(extension_tokens))
