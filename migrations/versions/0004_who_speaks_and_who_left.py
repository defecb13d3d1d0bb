"""who speaks and who was sent away: what is asked at each heartbeat, and every other second for all who stay."""

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
    """Bring the schema here."""
    op.create_index(CONNECTION, "extensions", ["connection_id"])
    op.create_index(REVOKED, "revoked_tokens", ["revoked_at"])
    for table, column in ENDED:
        told = sa.text(f"{column} IS NOT NULL")
        op.create_index(f"ix_{table}_{column}", table, [column], sqlite_where=told, postgresql_where=told)


def downgrade() -> None:
    """Take the schema back."""
    for table, column in reversed(ENDED):
        op.drop_index(f"ix_{table}_{column}", table_name=table)
    op.drop_index(REVOKED, table_name="revoked_tokens")
    op.drop_index(CONNECTION, table_name="extensions")
