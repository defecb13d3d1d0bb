"""how many previews of each picture its client wants."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Upgrade from the previous revision."""
    op.add_column("jobs", sa.Column("previews", sa.SmallInteger(), nullable=False, server_default="0"))


def downgrade() -> None:
    """Return to the previous revision."""
    op.drop_column("jobs", "previews")
