"""Input pictures. Times are ms since the epoch."""

import sqlalchemy as sa

from app.db.tables import Ms, metadata

# Pictures that requests may name until they expire. One that is to be removed at once has expired at 0.
inputs = sa.Table(
    "inputs",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("user_id", sa.String(128), nullable=False),
    sa.Column("file", sa.String(80), nullable=False, unique=True),
    sa.Column("width", sa.Integer, nullable=False),
    sa.Column("height", sa.Integer, nullable=False),
    sa.Column("bytes", sa.BigInteger, nullable=False),
    sa.Column("sha256", sa.String(64), nullable=False),
    sa.Column("created_at", Ms, nullable=False),
    sa.Column("expires_at", Ms, nullable=False, index=True),
)
sa.Index("ix_inputs_user", inputs.c.user_id, inputs.c.expires_at)
