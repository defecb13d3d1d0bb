"""events have the key (job_id, seq); their own id and its index are dropped."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

KEY = ("job_id", "seq")
COPY = """
INSERT INTO events (job_id, seq, type, status, at, data)
SELECT job_id, seq, type, status, at, data FROM events_before ORDER BY job_id, seq
"""
NUMBERED = "uq_events_job_id_seq"


def upgrade() -> None:
    """Upgrade from the previous revision."""
    if op.get_bind().dialect.name == "sqlite":
        _recreate(sa.PrimaryKeyConstraint(*KEY, name="pk_events"), sqlite_with_rowid=False)
        return
    op.drop_constraint("pk_events", "events")
    op.drop_column("events", "id")
    op.drop_constraint(NUMBERED, "events")
    op.create_primary_key("pk_events", "events", KEY)


def downgrade() -> None:
    """Return to the previous revision."""
    if op.get_bind().dialect.name == "sqlite":
        _recreate(
            sa.Column("id", sa.Integer(), primary_key=True, autoincrement=True),
            sa.UniqueConstraint(*KEY, name=NUMBERED),
        )
        return
    op.drop_constraint("pk_events", "events")
    op.add_column("events", sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False))
    op.create_primary_key("pk_events", "events", ["id"])
    op.create_unique_constraint(NUMBERED, "events", KEY)


def _recreate(*key: sa.schema.SchemaItem, **options: object) -> None:
    """Copy the events to a new table in the order of its key, because SQLite cannot change the key of a table."""
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
    op.execute(COPY)
    op.drop_table("events_before")
