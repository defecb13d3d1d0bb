"""no time of their own: how long requests may wait is told by their age and the settings, not kept in each of them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

INDEX = "ix_jobs_queue_until"
A_DAY_LONG = "UPDATE jobs SET queue_until = created_at + 86400000"


def upgrade() -> None:
    """Bring the schema here."""
    op.drop_index(INDEX, table_name="jobs")
    op.drop_column("jobs", "queue_until")


def downgrade() -> None:
    """Take the schema back; what waits may do so for the usual day."""
    op.add_column("jobs", sa.Column("queue_until", sa.BigInteger(), server_default="0", nullable=False))
    op.execute(A_DAY_LONG)
    waiting = sa.text("status = 'accepted'")
    op.create_index(INDEX, "jobs", ["queue_until"], sqlite_where=waiting, postgresql_where=waiting)
