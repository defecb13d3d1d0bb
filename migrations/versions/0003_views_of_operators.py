"""indexes for operators: requests of all users, connected extensions, disabled users."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

PARTIAL = (
    ("ix_jobs_open", "jobs", ["id", "status"], "status IN ('accepted', 'processing', 'downloading')"),
    ("ix_jobs_ended", "jobs", ["status", "id"], "status IN ('completed', 'failed', 'cancelled')"),
)
CONNECTED = "ix_extensions_connected"


def upgrade() -> None:
    """Upgrade from the previous revision."""
    op.add_column("users", sa.Column("disabled_at", sa.BigInteger(), nullable=True))
    for name, table, columns, where in PARTIAL:
        op.create_index(name, table, columns, sqlite_where=sa.text(where), postgresql_where=sa.text(where))
    op.create_index(
        CONNECTED,
        "extensions",
        ["id"],
        sqlite_where=sa.text("connected = 1"),
        postgresql_where=sa.text("connected"),
    )


def downgrade() -> None:
    """Return to the previous revision."""
    op.drop_index(CONNECTED, table_name="extensions")
    for name, table, _, _ in reversed(PARTIAL):
        op.drop_index(name, table_name=table)
    with op.batch_alter_table("users", schema=None) as batch_op:
        batch_op.drop_column("disabled_at")
