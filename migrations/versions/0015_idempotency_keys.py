"""answers to submissions with an Idempotency-Key."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

TABLE = "idempotency_keys"
INDEX = "ix_idempotency_keys_expires_at"


def upgrade() -> None:
    """Upgrade from the previous revision."""
    op.create_table(
        TABLE,
        sa.Column("owner", sa.String(128), nullable=False),
        sa.Column("operation", sa.String(32), nullable=False),
        sa.Column("key", sa.String(255), nullable=False),
        sa.Column("body_hash", sa.String(64), nullable=False),
        sa.Column("status", sa.Integer, nullable=True),
        sa.Column("answer", sa.Text, nullable=True),
        sa.Column("result_id", sa.String(36), nullable=True),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=True),
        sa.PrimaryKeyConstraint("owner", "operation", "key", name="pk_idempotency_keys"),
        sqlite_with_rowid=False,
    )
    op.create_index(INDEX, TABLE, ["expires_at"])


def downgrade() -> None:
    """Return to the previous revision."""
    op.drop_index(INDEX, table_name=TABLE)
    op.drop_table(TABLE)
