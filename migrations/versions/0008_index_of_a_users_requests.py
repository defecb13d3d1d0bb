"""one index finds the requests of a user, waiting or not."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

INDEX = "ix_jobs_line_user"


def upgrade() -> None:
    """Upgrade from the previous revision."""
    op.drop_index(INDEX, table_name="jobs")


def downgrade() -> None:
    """Return to the previous revision."""
    waiting = sa.text("status = 'accepted'")
    op.create_index(INDEX, "jobs", ["user_id", "place"], sqlite_where=waiting, postgresql_where=waiting)
