"""one line of a user: those that wait are found by the index that finds a user's requests of any status."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

INDEX = "ix_jobs_line_user"


def upgrade() -> None:
    """Bring the schema here."""
    op.drop_index(INDEX, table_name="jobs")


def downgrade() -> None:
    """Take the schema back."""
    waiting = sa.text("status = 'accepted'")
    op.create_index(INDEX, "jobs", ["user_id", "place"], sqlite_where=waiting, postgresql_where=waiting)
