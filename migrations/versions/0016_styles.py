"""styles, three of them for everybody, and the style of a request."""

from __future__ import annotations

import time

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

NAME = sa.text("lower(name)")
SHARED = sa.text("owner IS NULL")
OF_JOBS = {"style": sa.String(64), "variables": sa.JSON(), "original_prompt": sa.Text()}
# for everybody, by name: what the list of styles says about it, and the template
FIRST = {
    "noir": (
        "Black and white, hard light, deep shadows.",
        "{prompt}, film noir, black and white, hard light from one side, deep shadows, high contrast",
    ),
    "manga": (
        "Ink lines and screentone.",
        "{prompt}, manga panel, clean black ink lines, screentone shading, white background",
    ),
    "watercolour": (
        "Soft washes on paper.",
        "{prompt}, watercolour painting, soft washes, visible paper texture, muted colours",
    ),
}


def upgrade() -> None:
    """Upgrade from the previous revision."""
    styles = op.create_table(
        "styles",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("owner", sa.String(128)),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("description", sa.Text),
        sa.Column("template", sa.Text, nullable=False),
        sa.Column("variables", sa.JSON, nullable=False),
        sa.Column("model", sa.String(128)),
        sa.Column("parameters", sa.JSON, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_styles"),
    )
    op.create_index("ix_styles_own", "styles", ["owner", NAME], unique=True)
    op.create_index("ix_styles_shared", "styles", [NAME], unique=True, sqlite_where=SHARED, postgresql_where=SHARED)
    for name, kind in OF_JOBS.items():
        op.add_column("jobs", sa.Column(name, kind))
    now_ms = time.time_ns() // 1_000_000
    op.bulk_insert(styles, [_row(number, name, now_ms) for number, name in enumerate(FIRST)])


def downgrade() -> None:
    """Return to the previous revision."""
    for name in reversed(OF_JOBS):
        op.drop_column("jobs", name)
    op.drop_table("styles")


def _row(number: int, name: str, now_ms: int) -> dict[str, object]:
    description, template = FIRST[name]
    digits = f"{now_ms:012x}70008{number:015x}"
    return {
        "id": f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}",
        "owner": None,
        "name": name,
        "description": description,
        "template": template,
        "variables": {},
        "model": None,
        "parameters": {},
        "created_at": now_ms,
        "updated_at": now_ms,
    }
