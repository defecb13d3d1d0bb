"""index of free extensions in the order of their choice, and of leases without empty ones."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

FREE = "ix_extensions_free"
LEASES = "ix_jobs_lease_until"


def upgrade() -> None:
    """Upgrade from the previous revision."""
    _free_by("held", sa.text("last_success_at DESC"), "id")
    _leases_of("status = 'processing' AND lease_until IS NOT NULL")


def downgrade() -> None:
    """Return to the previous revision."""
    _free_by("held")
    _leases_of("status = 'processing'")


def _free_by(*columns: str | sa.TextClause) -> None:
    op.drop_index(FREE, table_name="extensions")
    op.create_index(
        FREE,
        "extensions",
        list(columns),
        sqlite_where=sa.text("connected = 1 AND available = 1 AND held < max_concurrent"),
        postgresql_where=sa.text("connected AND available AND held < max_concurrent"),
    )


def _leases_of(jobs: str) -> None:
    op.drop_index(LEASES, table_name="jobs")
    op.create_index(LEASES, "jobs", ["lease_until"], sqlite_where=sa.text(jobs), postgresql_where=sa.text(jobs))
