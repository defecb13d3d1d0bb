"""priority classes and virtual starts of queued requests, held ones, batches, pauses, tiers of users."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

FORMER_INDEXES = {
    "ix_jobs_line": ([sa.text("lower(model)"), "place", "id"], "status = 'accepted'"),
    "ix_jobs_line_any_model": (["place", "id"], "status = 'accepted'"),
    "ix_jobs_waiting_since": ([sa.text("lower(model)"), "created_at"], "status = 'accepted'"),
}
FORMER_UNNAMED = "ix_jobs_line_unnamed_model"
MODEL = sa.text("lower(model)")
ORDER = ["priority", "virtual_start", "id"]
WAITING = "status = 'accepted' AND held_since IS NULL"
HELD = "status = 'accepted' AND held_since IS NOT NULL"
OPEN = "status IN ('accepted', 'processing', 'downloading')"
CURRENT = "batch_id IS NOT NULL AND replaced_by IS NULL"
UNNAMED = "ix_jobs_queue_unnamed_model"
INDEXES = {
    "ix_jobs_queue": ([MODEL, *ORDER], WAITING),
    "ix_jobs_queue_of_user": (["user_id", MODEL, *ORDER], WAITING),
    "ix_jobs_waiting_since": ([MODEL, "queued_at", "priority"], WAITING),
    "ix_jobs_raised": (["user_id"], f"{WAITING} AND raised > 0"),
    "ix_jobs_completed": ([MODEL, "finished_at"], "status = 'completed' AND started_at IS NOT NULL"),
    "ix_jobs_held_of_user": (["user_id", "batch_id", "id"], HELD),
    "ix_jobs_held_of_batch": (["batch_id", "priority", "batch_index"], f"{HELD} AND batch_id IS NOT NULL"),
    "ix_jobs_released_of_batch": (["batch_id", "status"], f"{OPEN} AND held_since IS NULL AND batch_id IS NOT NULL"),
    "ix_jobs_batch": (["batch_id", "batch_index"], CURRENT),
    "ix_jobs_batch_status": (["batch_id", "status", "batch_index"], CURRENT),
    "ix_jobs_custom_id": (["batch_id", "custom_id"], f"{CURRENT} AND custom_id IS NOT NULL"),
}
# The order of the queue is kept by rank; one picture of a user of weight 1 takes a million of virtual time.
RANKS = f"""
UPDATE jobs SET queued_at = created_at, virtual_start = ranked.number * 1000000
FROM (
    SELECT id, row_number() OVER (PARTITION BY lower(model) ORDER BY place, id) - 1 AS number FROM jobs WHERE {OPEN}
) AS ranked
WHERE ranked.id = jobs.id
"""  # noqa: S608 - made of constants


def upgrade() -> None:
    """Upgrade from the previous revision."""
    for column in _columns():
        op.add_column("jobs", column)
    op.execute(RANKS)
    op.execute("UPDATE jobs SET queued_at = created_at WHERE queued_at = 0")
    for name in (*FORMER_INDEXES, FORMER_UNNAMED):
        op.drop_index(name, table_name="jobs")
    op.drop_column("jobs", "place")
    _create(INDEXES)
    _create_unnamed(UNNAMED, ORDER, WAITING)
    op.add_column("users", sa.Column("tier", sa.String(32), nullable=True))
    _create_tables()


def downgrade() -> None:
    """Return to the previous revision; requests that were held are in the queue then."""
    for table in ("batch_events", "batches", "queue_pauses", "queues"):
        op.drop_table(table)
    op.drop_column("users", "tier")
    for name in (*INDEXES, UNNAMED):
        op.drop_index(name, table_name="jobs")
    op.add_column("jobs", sa.Column("place", sa.BigInteger, nullable=False, server_default="0"))
    op.execute("UPDATE jobs SET place = virtual_start")
    for column in _columns():
        op.drop_column("jobs", column.name)
    _create(FORMER_INDEXES)
    _create_unnamed(FORMER_UNNAMED, ["place", "id"], "status = 'accepted'")


def _columns() -> list[sa.Column[Any]]:
    return [
        sa.Column("priority", sa.SmallInteger, nullable=False, server_default="1"),
        sa.Column("virtual_start", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("queued_at", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("held_since", sa.BigInteger),
        sa.Column("raised", sa.SmallInteger, nullable=False, server_default="0"),
        sa.Column("batch_id", sa.String(36)),
        sa.Column("batch_index", sa.Integer),
        sa.Column("custom_id", sa.String(128)),
        sa.Column("retry_of", sa.String(36)),
        sa.Column("replaced_by", sa.String(36)),
    ]


def _create(indexes: dict[str, tuple[list[sa.TextClause | str], str]]) -> None:
    for name, (columns, where) in indexes.items():
        op.create_index(name, "jobs", columns, sqlite_where=sa.text(where), postgresql_where=sa.text(where))


def _create_unnamed(name: str, columns: list[str], where: str) -> None:
    op.create_index(
        name,
        "jobs",
        columns,
        sqlite_where=sa.text(f"{where} AND any_model = 1"),
        postgresql_where=sa.text(f"{where} AND any_model"),
    )


def _create_tables() -> None:
    op.create_table(
        "queues",
        sa.Column("model", sa.String(128), primary_key=True),
        sa.Column("priority", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("virtual_time", sa.BigInteger, nullable=False),
        sa.Column("served_at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "queue_pauses",
        sa.Column("kind", sa.String(16), primary_key=True),
        sa.Column("name", sa.String(128), primary_key=True),
        sa.Column("note", sa.String(400)),
        sa.Column("drain", sa.Boolean, nullable=False, server_default=sa.text("false")),
        sa.Column("paused_by", sa.String(128)),
        sa.Column("paused_at", sa.BigInteger, nullable=False),
        sa.Column("until", sa.BigInteger),
        sa.Column("resumed_at", sa.BigInteger),
        sa.Column("resumed_id", sa.String(36)),
    )
    op.create_table(
        "batches",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("user_id", sa.String(128), nullable=False),
        sa.Column("correlation_id", sa.String(128), nullable=False),
        sa.Column("name", sa.String(200)),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("concurrency", sa.Integer, nullable=False),
        sa.Column("defaults", sa.JSON, nullable=False),
        sa.Column("total", sa.Integer, nullable=False),
        *(
            sa.Column(name, sa.Integer, nullable=False, server_default="0")
            for name in ("completed", "failed", "cancelled")
        ),
        sa.Column("failures", sa.JSON, nullable=False),
        sa.Column("version", sa.Integer, nullable=False, server_default="1"),
        sa.Column("last_event", sa.Integer, nullable=False, server_default="0"),
        sa.Column("paused_at", sa.BigInteger),
        sa.Column("paused_by", sa.String(128)),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in ("created_at", "updated_at")),
        *(sa.Column(name, sa.BigInteger) for name in ("started_at", "finished_at")),
    )
    op.create_index("ix_batches_user", "batches", ["user_id", "id"])
    unfinished = sa.text("finished_at IS NULL")
    op.create_index("ix_batches_open", "batches", ["id"], sqlite_where=unfinished, postgresql_where=unfinished)
    op.create_table(
        "batch_events",
        sa.Column("batch_id", sa.String(36), sa.ForeignKey("batches.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("type", sa.String(64), nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("data", sa.JSON, nullable=False),
        sqlite_with_rowid=False,
    )
