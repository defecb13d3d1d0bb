"""The tables of webhooks: where events are sent, and each event that is to be sent, is sent or was given up."""

import sqlalchemy as sa

from app.db.tables import Ms, metadata

# `scope` is empty for webhooks that are told of everything of their user. It is the id of the request or batch for those that
# were given with one, and `account` for the row whose secret signs these.
webhook_endpoints = sa.Table(
    "webhook_endpoints",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("user_id", sa.String(128), nullable=False),
    sa.Column("scope", sa.String(36), nullable=False, server_default=""),
    sa.Column("url", sa.Text, nullable=False),
    sa.Column("host", sa.String(260), nullable=False),  # with its port
    sa.Column("events", sa.Integer, nullable=False),  # see `domain.webhooks.bits`
    sa.Column("description", sa.Text),
    sa.Column("enabled", sa.Boolean, nullable=False, server_default=sa.text("true")),
    sa.Column("disabled_reason", sa.Text),
    # since when every attempt has failed; null after one that succeeded
    sa.Column("failing_since", Ms),
    # since when no attempt was answered at all; null after an answer
    sa.Column("silent_since", Ms),
    # the row whose secret signs: this one, or the user's `account`
    sa.Column("signer_id", sa.String(36), nullable=False),
    # the number of its current secret, and until when the one before it signs too
    sa.Column("secret_number", sa.Integer, nullable=False, server_default="1"),
    sa.Column("previous_until", Ms),
    # of the key that its secrets are computed from
    sa.Column("key_fingerprint", sa.String(16), nullable=False),
    sa.Column("created_at", Ms, nullable=False),
    sa.Column("updated_at", Ms, nullable=False),
)
_endpoint = webhook_endpoints.c
SCOPED = _endpoint.scope != sa.literal_column("''", sa.String)
SILENT = _endpoint.silent_since.is_not(None)
sa.Index("ix_webhook_endpoints_user", _endpoint.user_id, _endpoint.scope, _endpoint.id)
sa.Index(
    "ix_webhook_endpoints_scope",
    _endpoint.user_id,
    _endpoint.scope,
    unique=True,
    sqlite_where=SCOPED,
    postgresql_where=SCOPED,
)
sa.Index("ix_webhook_endpoints_scoped_since", _endpoint.created_at, sqlite_where=SCOPED, postgresql_where=SCOPED)
sa.Index("ix_webhook_endpoints_silent", _endpoint.host, sqlite_where=SILENT, postgresql_where=SILENT)

webhook_deliveries = sa.Table(
    "webhook_deliveries",
    metadata,
    sa.Column("id", Ms().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
    sa.Column("endpoint_id", sa.String(36), sa.ForeignKey("webhook_endpoints.id", ondelete="CASCADE"), nullable=False),
    sa.Column("host", sa.String(260), nullable=False),
    # the request or batch; null for a test
    sa.Column("subject_id", sa.String(36)),
    sa.Column("event_id", sa.String(64), nullable=False),
    sa.Column("type", sa.String(32), nullable=False),
    # the version of the subject after the event: the order of its events
    sa.Column("sequence", sa.Integer, nullable=False),
    sa.Column("occurred_at", Ms, nullable=False),
    # what the subject's row will not tell later
    sa.Column("snapshot", sa.JSON, nullable=False),
    # pending, delivered, failed, or replaced by a newer one
    sa.Column("status", sa.String(16), nullable=False, server_default="pending"),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    # when it may be sent; while a worker sends it, when that claim ends
    sa.Column("due_at", Ms, nullable=False),
    sa.Column("lease", sa.String(64)),
    sa.Column("attempted_at", Ms),
    sa.Column("duration_ms", sa.Integer),
    sa.Column("response_status", sa.Integer),
    sa.Column("response_body", sa.Text),
    sa.Column("error", sa.Text),
    sa.Column("created_at", Ms, nullable=False),
    sa.Column("finished_at", Ms),
)
_delivery = webhook_deliveries.c
PENDING = _delivery.status == sa.literal_column("'pending'", sa.String)
CLAIMED = PENDING & _delivery.lease.is_not(None)
FINISHED = _delivery.finished_at.is_not(None)
LATEST = _delivery.type.in_(
    [sa.literal_column(f"'{name}'", sa.String) for name in ("image.progress", "batch.progress")]
)


def _partial(name: str, *columns: sa.ColumnElement[object], where: object, unique: bool = False) -> None:
    sa.Index(name, *columns, unique=unique, sqlite_where=where, postgresql_where=where)


_partial("ix_webhook_deliveries_due", _delivery.due_at, where=PENDING)
_partial("ix_webhook_deliveries_host", _delivery.host, _delivery.due_at, _delivery.id, where=PENDING)
_partial("ix_webhook_deliveries_claimed", _delivery.host, _delivery.due_at, where=CLAIMED)
_partial("ix_webhook_deliveries_order", _delivery.endpoint_id, _delivery.subject_id, _delivery.sequence, where=PENDING)
# progress has one row for each webhook and request, which the newest takes
_partial("ix_webhook_deliveries_latest", _delivery.endpoint_id, _delivery.subject_id, where=LATEST, unique=True)
_partial("ix_webhook_deliveries_finished", _delivery.finished_at, where=FINISHED)
sa.Index("ix_webhook_deliveries_endpoint", _delivery.endpoint_id, _delivery.id)
sa.Index("ix_webhook_deliveries_status", _delivery.endpoint_id, _delivery.status, _delivery.id)
