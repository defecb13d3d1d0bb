"""address of each web process, for pairing codes that are created without the settings of the service."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Upgrade from the previous revision."""
    op.add_column("hubs", sa.Column("address", sa.Text(), nullable=True))


def downgrade() -> None:
    """Return to the previous revision."""
    with op.batch_alter_table("hubs", schema=None) as batch_op:
        batch_op.drop_column("address")
