"""index of waiting requests by model and age, to find those that no extension serves."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

INDEX = "ix_jobs_waiting_since"


def upgrade() -> None:
    """Upgrade from the previous revision."""
    waiting = sa.text("status = 'accepted'")
    op.create_index(INDEX, "jobs", ["model", "created_at"], sqlite_where=waiting, postgresql_where=waiting)


def downgrade() -> None:
    """Return to the previous revision."""
    op.drop_index(INDEX, table_name="jobs")
