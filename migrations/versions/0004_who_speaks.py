"""who speaks: each heartbeat and each socket that breaks is looked up by its connection."""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

CONNECTION = "ix_extensions_connection"


def upgrade() -> None:
    """Bring the schema here."""
    op.create_index(CONNECTION, "extensions", ["connection_id"])


def downgrade() -> None:
    """Take the schema back."""
    op.drop_index(CONNECTION, table_name="extensions")
