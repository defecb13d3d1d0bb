"""requests that are made from pictures, with queues of their own."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

FORMER, KEY = "lower(model)", "lower(model) || operation"
ORDER = ["priority", "virtual_start", "id"]
WAITING = "status = 'accepted' AND held_since IS NULL"
UNNAMED = "ix_jobs_queue_unnamed_model"
ENDED = sa.text("ended_at IS NOT NULL")
PARENT = sa.text("parent_id IS NOT NULL")
LONGER = ("queues", "models_served")


def upgrade() -> None:
    """Upgrade from the previous revision."""
    _drop_indexes()
    op.add_column("jobs", sa.Column("operation", sa.String(16), nullable=False, server_default=""))
    op.add_column("jobs", sa.Column("parent_id", sa.String(36)))
    op.create_index("ix_jobs_parent", "jobs", ["parent_id", "id"], sqlite_where=PARENT, postgresql_where=PARENT)
    _create_indexes(KEY, ["operation", *ORDER])
    _change_length(144)
    op.create_table(
        "job_inputs",
        sa.Column("job_id", sa.String(36), nullable=False),
        sa.Column("position", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("role", sa.String(8), nullable=False),
        sa.Column("strength", sa.Float),
        sa.Column("file", sa.String(80), nullable=False),
        sa.Column("width", sa.Integer, nullable=False),
        sa.Column("height", sa.Integer, nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("ended_at", sa.BigInteger),
        sa.PrimaryKeyConstraint("job_id", "position", name="pk_job_inputs"),
        sa.UniqueConstraint("file", name="uq_job_inputs_file"),
    )
    op.create_index("ix_job_inputs_ended", "job_inputs", ["ended_at"], sqlite_where=ENDED, postgresql_where=ENDED)


def downgrade() -> None:
    """Return to the previous revision; requests with input pictures are made without them then."""
    op.drop_table("job_inputs")
    for table in LONGER:
        op.execute(f"DELETE FROM {table} WHERE model LIKE '%#%'")  # noqa: S608 - made of constants
    _change_length(128)
    op.drop_index("ix_jobs_parent", table_name="jobs")
    _drop_indexes()
    op.drop_column("jobs", "parent_id")
    op.drop_column("jobs", "operation")
    _create_indexes(FORMER, ORDER)


def _indexes(text: str) -> dict[str, tuple[list[Any], str]]:
    key = sa.text(f"({text})" if op.get_bind().dialect.name == "postgresql" else text)
    return {
        "ix_jobs_queue": ([key, *ORDER], WAITING),
        "ix_jobs_queue_of_user": (["user_id", key, *ORDER], WAITING),
        "ix_jobs_waiting_since": ([key, "queued_at", "priority"], WAITING),
        "ix_jobs_completed": ([key, "finished_at"], "status = 'completed' AND started_at IS NOT NULL"),
    }


def _drop_indexes() -> None:
    for name in (*_indexes(KEY), UNNAMED):
        op.drop_index(name, table_name="jobs")


def _create_indexes(key: str, unnamed: list[str]) -> None:
    for name, (columns, where) in _indexes(key).items():
        op.create_index(name, "jobs", columns, sqlite_where=sa.text(where), postgresql_where=sa.text(where))
    op.create_index(
        UNNAMED,
        "jobs",
        unnamed,
        sqlite_where=sa.text(f"{WAITING} AND any_model = 1"),
        postgresql_where=sa.text(f"{WAITING} AND any_model"),
    )


def _change_length(length: int) -> None:
    """The keys of queues are longer than names of models. SQLite cannot change a column: the tables, which are small, are made anew."""
    if op.get_bind().dialect.name == "postgresql":
        for table in LONGER:
            op.alter_column(table, "model", type_=sa.String(length))
        return
    for table in LONGER:
        op.rename_table(table, f"former_{table}")
    op.create_table(
        "queues",
        sa.Column("model", sa.String(length), nullable=False),
        sa.Column("priority", sa.SmallInteger, nullable=False, autoincrement=False),
        sa.Column("virtual_time", sa.BigInteger, nullable=False),
        sa.Column("served_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("model", "priority", name="pk_queues"),
    )
    op.create_table(
        "models_served",
        sa.Column("model", sa.String(length), nullable=False),
        sa.Column("served_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("model", name="pk_models_served"),
    )
    for table in LONGER:
        op.execute(f"INSERT INTO {table} SELECT * FROM former_{table}")  # noqa: S608 - made of constants
        op.drop_table(f"former_{table}")
