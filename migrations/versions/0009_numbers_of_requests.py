"""requests are numbered per user, so that waiting ones are counted without reading them all."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Upgrade from the previous revision."""
    op.add_column("jobs", sa.Column("number", sa.BigInteger(), server_default="0", nullable=False))


def downgrade() -> None:
    """Return to the previous revision."""
    op.drop_column("jobs", "number")
