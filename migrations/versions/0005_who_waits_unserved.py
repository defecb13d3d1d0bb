"""who waits unserved: requests of a model that nobody makes, by their age."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

INDEX = "ix_jobs_waiting_since"


def upgrade() -> None:
    """Bring the schema here."""
    waiting = sa.text("status = 'accepted'")
    op.create_index(INDEX, "jobs", ["model", "created_at"], sqlite_where=waiting, postgresql_where=waiting)


def downgrade() -> None:
    """Take the schema back."""
    op.drop_index(INDEX, table_name="jobs")
