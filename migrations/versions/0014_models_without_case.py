"""queue indexes by the name of the model in lower case, because names match without case."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

INDEXES = {"ix_jobs_line": ("place", "id"), "ix_jobs_waiting_since": ("created_at",)}


def upgrade() -> None:
    """Upgrade from the previous revision."""
    _index_by(sa.text("lower(model)"))
    op.execute(
        "UPDATE models_served SET model = lower(model) WHERE lower(model) NOT IN (SELECT model FROM models_served)"
    )


def downgrade() -> None:
    """Return to the previous revision."""
    _index_by("model")


def _index_by(model: str | sa.TextClause) -> None:
    waiting = sa.text("status = 'accepted'")
    for name, columns in INDEXES.items():
        op.drop_index(name, table_name="jobs")
        op.create_index(name, "jobs", [model, *columns], sqlite_where=waiting, postgresql_where=waiting)
