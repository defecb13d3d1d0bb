"""Tables of users and credentials. Of secrets only the SHA-256 is stored; times are ms since the epoch."""

from sqlalchemy import Column, ForeignKey, Index, String, Table

from app.db.tables import Ms, metadata, partial_index

users = Table(
    "users",
    metadata,
    Column("id", String(128), primary_key=True),
    Column("role", String(16), nullable=False),
    Column("created_at", Ms, nullable=False),
    Column("disabled_at", Ms),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("user_id", String(128), ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("name", String(128)),
    Column("hash", String(64), nullable=False),
    Column("scope", String(64), nullable=False),
    Column("created_at", Ms, nullable=False),
    Column("expires_at", Ms),
    Column("revoked_at", Ms),
    Column("last_used_at", Ms),
)

extension_tokens = Table(
    "extension_tokens",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("extension_id", String(128), nullable=False, index=True),
    Column("hash", String(64), nullable=False),
    Column("created_at", Ms, nullable=False),
    Column("expires_at", Ms),
    Column("revoked_at", Ms),
    Column("last_used_at", Ms),
)

# Revoked tokens; a row is deleted once its token has expired.
revoked_tokens = Table(
    "revoked_tokens",
    metadata,
    Column("jti", String(128), primary_key=True),
    Column("expires_at", Ms, nullable=False, index=True),
    Column("revoked_at", Ms, nullable=False),
)

# Recent revocations are queried every other second, for all open connections; most credentials are never revoked.
partial_index("ix_users_disabled_at", users.c.disabled_at, where=users.c.disabled_at.is_not(None))
partial_index("ix_api_keys_revoked_at", api_keys.c.revoked_at, where=api_keys.c.revoked_at.is_not(None))
partial_index(
    "ix_extension_tokens_revoked_at", extension_tokens.c.revoked_at, where=extension_tokens.c.revoked_at.is_not(None)
)
Index("ix_revoked_tokens_revoked_at", revoked_tokens.c.revoked_at)
