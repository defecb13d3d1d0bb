"""the time until which a request waits follows from its age and the settings and is no longer stored."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

INDEX = "ix_jobs_queue_until"
SET_QUEUE_UNTIL = "UPDATE jobs SET queue_until = created_at + 86400000"


def upgrade() -> None:
    """Upgrade from the previous revision."""
    op.drop_index(INDEX, table_name="jobs")
    op.drop_column("jobs", "queue_until")


def downgrade() -> None:
    """Return to the previous revision; waiting requests get the default queue timeout of a day."""
    op.add_column("jobs", sa.Column("queue_until", sa.BigInteger(), server_default="0", nullable=False))
    op.execute(SET_QUEUE_UNTIL)
    waiting = sa.text("status = 'accepted'")
    op.create_index(INDEX, "jobs", ["queue_until"], sqlite_where=waiting, postgresql_where=waiting)
