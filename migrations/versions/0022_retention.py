"""how long pictures are kept, and when they were removed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

COLUMNS = {"keep_days": sa.Integer(), "remove_at": sa.BigInteger(), "pictures_removed_at": sa.BigInteger()}
INDEX = "ix_jobs_remove_at"
WHERE = sa.text("remove_at IS NOT NULL AND pictures_removed_at IS NULL")


def upgrade() -> None:
    """Upgrade from the previous revision."""
    for name, kind in COLUMNS.items():
        op.add_column("jobs", sa.Column(name, kind))
    op.create_index(INDEX, "jobs", ["remove_at"], sqlite_where=WHERE, postgresql_where=WHERE)


def downgrade() -> None:
    """Return to the previous revision; what was removed stays so, without a word about it."""
    op.drop_index(INDEX, table_name="jobs")
    for name in reversed(COLUMNS):
        op.drop_column("jobs", name)
