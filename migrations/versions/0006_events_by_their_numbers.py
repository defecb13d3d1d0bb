"""events by their numbers: found by request and number alone, they need neither an id of their own nor an index for it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

KEY = ("job_id", "seq")
TAKEN_OVER = """
INSERT INTO events (job_id, seq, type, status, at, data)
SELECT job_id, seq, type, status, at, data FROM events_before ORDER BY job_id, seq
"""
NUMBERED = "uq_events_job_id_seq"


def upgrade() -> None:
    """Bring the schema here."""
    if op.get_bind().dialect.name == "sqlite":
        _made_anew(sa.PrimaryKeyConstraint(*KEY, name="pk_events"), sqlite_with_rowid=False)
        return
    op.drop_constraint("pk_events", "events")
    op.drop_column("events", "id")
    op.drop_constraint(NUMBERED, "events")
    op.create_primary_key("pk_events", "events", KEY)


def downgrade() -> None:
    """Take the schema back."""
    if op.get_bind().dialect.name == "sqlite":
        _made_anew(
            sa.Column("id", sa.Integer(), primary_key=True, autoincrement=True),
            sa.UniqueConstraint(*KEY, name=NUMBERED),
        )
        return
    op.drop_constraint("pk_events", "events")
    op.add_column("events", sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False))
    op.create_primary_key("pk_events", "events", ["id"])
    op.create_unique_constraint(NUMBERED, "events", KEY)


def _made_anew(*key: sa.schema.SchemaItem, **options: object) -> None:
    """SQLite cannot change how a table is kept: a new one takes over what is in it, in the order of its key."""
    op.rename_table("events", "events_before")
    op.create_table(
        "events",
        sa.Column("job_id", sa.String(length=36), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("type", sa.String(length=64), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_events_job_id", ondelete="CASCADE"),
        *key,
        **options,
    )
    op.execute(TAKEN_OVER)
    op.drop_table("events_before")
