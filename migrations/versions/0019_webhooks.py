"""webhooks and what is sent to them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

ENDPOINTS, DELIVERIES = "webhook_endpoints", "webhook_deliveries"
Ms = sa.BigInteger


def upgrade() -> None:
    """Upgrade from the previous revision."""
    _create_endpoints()
    _create_deliveries()


def downgrade() -> None:
    """Return to the previous revision."""
    op.drop_table(DELIVERIES)
    op.drop_table(ENDPOINTS)


def _create_endpoints() -> None:
    op.create_table(
        ENDPOINTS,
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("user_id", sa.String(128), nullable=False),
        sa.Column("scope", sa.String(36), nullable=False, server_default=""),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("host", sa.String(260), nullable=False),
        sa.Column("events", sa.Integer, nullable=False),
        sa.Column("description", sa.Text),
        sa.Column("enabled", sa.Boolean, nullable=False, server_default=sa.text("true")),
        sa.Column("disabled_reason", sa.Text),
        sa.Column("failing_since", Ms),
        sa.Column("silent_since", Ms),
        sa.Column("signer_id", sa.String(36), nullable=False),
        sa.Column("secret_number", sa.Integer, nullable=False, server_default="1"),
        sa.Column("previous_until", Ms),
        sa.Column("key_fingerprint", sa.String(16), nullable=False),
        sa.Column("created_at", Ms, nullable=False),
        sa.Column("updated_at", Ms, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_webhook_endpoints"),
    )
    op.create_index("ix_webhook_endpoints_user", ENDPOINTS, ["user_id", "scope", "id"])
    _create_partial("ix_webhook_endpoints_scope", ENDPOINTS, ["user_id", "scope"], "scope != ''", unique=True)
    _create_partial("ix_webhook_endpoints_scoped_since", ENDPOINTS, ["created_at"], "scope != ''")
    _create_partial("ix_webhook_endpoints_silent", ENDPOINTS, ["host"], "silent_since IS NOT NULL")


def _create_deliveries() -> None:
    op.create_table(
        DELIVERIES,
        sa.Column("id", Ms().with_variant(sa.Integer, "sqlite"), autoincrement=True, nullable=False),
        sa.Column("endpoint_id", sa.String(36), nullable=False),
        sa.Column("host", sa.String(260), nullable=False),
        sa.Column("subject_id", sa.String(36)),
        sa.Column("event_id", sa.String(64), nullable=False),
        sa.Column("type", sa.String(32), nullable=False),
        sa.Column("sequence", sa.Integer, nullable=False),
        sa.Column("occurred_at", Ms, nullable=False),
        sa.Column("snapshot", sa.JSON, nullable=False),
        sa.Column("status", sa.String(16), nullable=False, server_default="pending"),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
        sa.Column("due_at", Ms, nullable=False),
        sa.Column("lease", sa.String(64)),
        sa.Column("attempted_at", Ms),
        sa.Column("duration_ms", sa.Integer),
        sa.Column("response_status", sa.Integer),
        sa.Column("response_body", sa.Text),
        sa.Column("error", sa.Text),
        sa.Column("created_at", Ms, nullable=False),
        sa.Column("finished_at", Ms),
        sa.PrimaryKeyConstraint("id", name="pk_webhook_deliveries"),
        sa.ForeignKeyConstraint(
            ["endpoint_id"],
            [f"{ENDPOINTS}.id"],
            name="fk_webhook_deliveries_endpoint_id",
            ondelete="CASCADE",
        ),
    )
    pending = "status = 'pending'"
    latest = "type IN ('image.progress', 'batch.progress')"
    by_order = ["endpoint_id", "subject_id", "sequence"]
    _create_partial("ix_webhook_deliveries_due", DELIVERIES, ["due_at"], pending)
    _create_partial("ix_webhook_deliveries_host", DELIVERIES, ["host", "due_at", "id"], pending)
    _create_partial("ix_webhook_deliveries_claimed", DELIVERIES, ["host", "due_at"], f"{pending} AND lease IS NOT NULL")
    _create_partial("ix_webhook_deliveries_order", DELIVERIES, by_order, pending)
    _create_partial("ix_webhook_deliveries_latest", DELIVERIES, ["endpoint_id", "subject_id"], latest, unique=True)
    _create_partial("ix_webhook_deliveries_finished", DELIVERIES, ["finished_at"], "finished_at IS NOT NULL")
    op.create_index("ix_webhook_deliveries_endpoint", DELIVERIES, ["endpoint_id", "id"])
    op.create_index("ix_webhook_deliveries_status", DELIVERIES, ["endpoint_id", "status", "id"])


def _create_partial(name: str, table: str, columns: list[str], where: str, *, unique: bool = False) -> None:
    condition = sa.text(where)
    op.create_index(name, table, columns, unique=unique, sqlite_where=condition, postgresql_where=condition)
