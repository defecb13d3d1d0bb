"""how long extensions were connected, for reports; every upgrade makes their views anew (app/db/reports)."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Upgrade from the previous revision. Of earlier connections only the last one is known."""
    op.add_column("extensions", sa.Column("connected_ms", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("extensions", sa.Column("observed_since", sa.BigInteger(), nullable=False, server_default="0"))
    op.execute("UPDATE extensions SET observed_since = connected_at")
    op.execute(
        "UPDATE extensions SET connected_ms = disconnected_at - connected_at "
        "WHERE NOT connected AND disconnected_at > connected_at"
    )


def downgrade() -> None:
    """Return to the previous revision."""
    op.drop_column("extensions", "observed_since")
    op.drop_column("extensions", "connected_ms")
