"""indexes for the query of each heartbeat and for the periodic check of revocations."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

CONNECTION = "ix_extensions_connection"
REVOKED = "ix_revoked_tokens_revoked_at"
ENDED = (("users", "disabled_at"), ("api_keys", "revoked_at"), ("extension_tokens", "revoked_at"))


def upgrade() -> None:
    """Upgrade from the previous revision."""
    op.create_index(CONNECTION, "extensions", ["connection_id"])
    op.create_index(REVOKED, "revoked_tokens", ["revoked_at"])
    for table, column in ENDED:
        ended = sa.text(f"{column} IS NOT NULL")
        op.create_index(f"ix_{table}_{column}", table, [column], sqlite_where=ended, postgresql_where=ended)


def downgrade() -> None:
    """Return to the previous revision."""
    for table, column in reversed(ENDED):
        op.drop_index(f"ix_{table}_{column}", table_name=table)
    op.drop_index(REVOKED, table_name="revoked_tokens")
    op.drop_index(CONNECTION, table_name="extensions")
