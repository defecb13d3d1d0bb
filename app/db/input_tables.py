"""Input pictures: those that users have uploaded, and those of requests. Times are ms since the epoch."""

import sqlalchemy as sa

from app.db.tables import Ms, metadata, partial_index

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

# What a request is made of. Each has a file of its own (a link), so that it outlives what it was made from.
job_inputs = sa.Table(
    "job_inputs",
    metadata,
    sa.Column("job_id", sa.String(36), primary_key=True),
    sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("role", sa.String(8), nullable=False),
    sa.Column("strength", sa.Float),
    sa.Column("file", sa.String(80), nullable=False, unique=True),
    sa.Column("width", sa.Integer, nullable=False),
    sa.Column("height", sa.Integer, nullable=False),
    sa.Column("bytes", sa.BigInteger, nullable=False),
    sa.Column("sha256", sa.String(64), nullable=False),
    # since when the request has ended: the file can be removed
    sa.Column("ended_at", Ms),
)
partial_index("ix_job_inputs_ended", job_inputs.c.ended_at, where=job_inputs.c.ended_at.is_not(None))
