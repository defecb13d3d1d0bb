"""whether a request names no model, and an index of those that wait."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

INDEX = "ix_jobs_line_unnamed_model"


def upgrade() -> None:
    """Upgrade from the previous revision."""
    op.add_column("jobs", sa.Column("any_model", sa.Boolean, nullable=False, server_default=sa.text("false")))
    op.create_index(
        INDEX,
        "jobs",
        ["place", "id"],
        sqlite_where=sa.text("status = 'accepted' AND any_model = 1"),
        postgresql_where=sa.text("status = 'accepted' AND any_model"),
    )


def downgrade() -> None:
    """Return to the previous revision."""
    op.drop_index(INDEX, table_name="jobs")
    op.drop_column("jobs", "any_model")
