"""Tables of users and credentials. Of secrets only the SHA-256 is stored; times are ms since the epoch."""

import sqlalchemy as sa

from app.db.tables import Ms, metadata, partial_index

users = sa.Table(
    "users",
    metadata,
    sa.Column("id", sa.String(128), primary_key=True),
    sa.Column("role", sa.String(16), nullable=False),
    sa.Column("created_at", Ms, nullable=False),
    sa.Column("disabled_at", Ms),
    sa.Column("tier", sa.String(32)),  # null for the default one
)

api_keys = sa.Table(
    "api_keys",
    metadata,
    sa.Column("id", sa.String(16), primary_key=True),
    sa.Column("user_id", sa.String(128), sa.ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("name", sa.String(128)),
    sa.Column("hash", sa.String(64), nullable=False),
    sa.Column("scope", sa.String(64), nullable=False),
    sa.Column("created_at", Ms, nullable=False),
    sa.Column("expires_at", Ms),
    sa.Column("revoked_at", Ms),
    sa.Column("last_used_at", Ms),
)

extension_tokens = sa.Table(
    "extension_tokens",
    metadata,
    sa.Column("id", sa.String(16), primary_key=True),
    sa.Column("extension_id", sa.String(128), nullable=False, index=True),
    sa.Column("hash", sa.String(64), nullable=False),
    sa.Column("created_at", Ms, nullable=False),
    sa.Column("expires_at", Ms),
    sa.Column("revoked_at", Ms),
    sa.Column("last_used_at", Ms),
)

# Revoked tokens; a row is deleted once its token has expired.
revoked_tokens = sa.Table(
    "revoked_tokens",
    metadata,
    sa.Column("jti", sa.String(128), primary_key=True),
    sa.Column("expires_at", Ms, nullable=False, index=True),
    sa.Column("revoked_at", Ms, nullable=False),
)

# Recent revocations are queried every other second, for all open connections; most credentials are never revoked.
partial_index("ix_users_disabled_at", users.c.disabled_at, where=users.c.disabled_at.is_not(None))
partial_index("ix_api_keys_revoked_at", api_keys.c.revoked_at, where=api_keys.c.revoked_at.is_not(None))
partial_index(
    "ix_extension_tokens_revoked_at", extension_tokens.c.revoked_at, where=extension_tokens.c.revoked_at.is_not(None)
)
sa.Index("ix_revoked_tokens_revoked_at", revoked_tokens.c.revoked_at)
