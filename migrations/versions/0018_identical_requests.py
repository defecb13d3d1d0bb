"""fingerprints of requests, those that follow identical ones, counters."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

TEXTS = {"fingerprint": 64, "cache": 8, "follows": 36, "cached_from": 36}
HELD = "status = 'accepted' AND held_since IS NOT NULL"
INDEXES = {
    "ix_jobs_identical": (
        ["user_id", "fingerprint", "finished_at", "priority", "id"],
        "fingerprint IS NOT NULL AND held_since IS NULL",
    ),
    "ix_jobs_following": (["follows", "priority", "id"], f"{HELD} AND follows IS NOT NULL"),
}
FOLLOWED = "ix_jobs_followed"
# The same with another condition than before: what follows another request is left out.
HELD_BACK = {
    "ix_jobs_held_of_user": (["user_id", "batch_id", "id"], HELD),
    "ix_jobs_held_of_batch": (["batch_id", "priority", "batch_index"], HELD),
}
OF_BATCH = {"ix_jobs_held_of_batch": " AND batch_id IS NOT NULL"}


def upgrade() -> None:
    """Upgrade from the previous revision."""
    for name, length in TEXTS.items():
        op.add_column("jobs", sa.Column(name, sa.String(length)))
    op.add_column("jobs", sa.Column("followed", sa.Boolean, nullable=False, server_default=sa.text("false")))
    for name in HELD_BACK:
        op.drop_index(name, table_name="jobs")
    _create({name: (columns, f"{where} AND follows IS NULL") for name, (columns, where) in HELD_BACK.items()})
    _create(INDEXES)
    ended = "finished_at IS NOT NULL AND followed"
    op.create_index(FOLLOWED, "jobs", ["id"], sqlite_where=sa.text(f"{ended} = 1"), postgresql_where=sa.text(ended))
    op.create_table(
        "counters",
        sa.Column("name", sa.String(32), primary_key=True),
        sa.Column("value", sa.BigInteger, nullable=False),
    )


def downgrade() -> None:
    """Return to the previous revision; requests that followed another one are in the queue then."""
    op.execute(f"UPDATE jobs SET held_since = NULL WHERE {HELD} AND follows IS NOT NULL")  # noqa: S608 - made of constants
    op.drop_table("counters")
    for name in (*INDEXES, *HELD_BACK, FOLLOWED):
        op.drop_index(name, table_name="jobs")
    _create(HELD_BACK)
    for name in ("followed", *TEXTS):
        op.drop_column("jobs", name)


def _create(indexes: dict[str, tuple[list[str], str]]) -> None:
    for name, (columns, where) in indexes.items():
        condition = sa.text(where + OF_BATCH.get(name, ""))
        op.create_index(name, "jobs", columns, sqlite_where=condition, postgresql_where=condition)
