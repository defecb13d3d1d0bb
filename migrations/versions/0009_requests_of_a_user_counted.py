"""requests of a user counted: by the numbers of the first that waits and of the last, few have to be looked at one by one."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the schema here."""
    op.add_column("jobs", sa.Column("number", sa.BigInteger(), server_default="0", nullable=False))


def downgrade() -> None:
    """Take the schema back."""
    op.drop_column("jobs", "number")
