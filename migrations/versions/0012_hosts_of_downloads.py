"""host of each download, and an index of the running ones, to share them fairly."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

INDEX = "ix_jobs_download_running"


def upgrade() -> None:
    """Upgrade from the previous revision."""
    op.add_column("jobs", sa.Column("source_host", sa.String(253), nullable=True))
    running = sa.text("status = 'downloading' AND lease IS NOT NULL")
    columns = ["holder", "source_host", "due_at"]
    op.create_index(INDEX, "jobs", columns, sqlite_where=running, postgresql_where=running)


def downgrade() -> None:
    """Return to the previous revision."""
    op.drop_index(INDEX, table_name="jobs")
    op.drop_column("jobs", "source_host")
