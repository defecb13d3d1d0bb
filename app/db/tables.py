"""The tables. Times are whole milliseconds since the epoch (UTC); names are the contract's words in snake_case."""

import sqlalchemy as sa

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

Ms = sa.BigInteger

jobs = sa.Table(
    "jobs",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("correlation_id", sa.String(128), nullable=False),
    sa.Column("user_id", sa.String(128), nullable=False),
    sa.Column("model", sa.String(128), nullable=False),
    sa.Column("prompt", sa.Text, nullable=False),
    sa.Column("parameters", sa.JSON, nullable=False),
    sa.Column("number_of_images", sa.Integer, nullable=False),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("progress", sa.Integer, nullable=False, server_default="0"),
    sa.Column("progress_note", sa.String(200)),
    # `version` rises with every change; `last_event` is the sequence number of the newest event
    sa.Column("version", sa.Integer, nullable=False, server_default="1"),
    sa.Column("last_event", sa.Integer, nullable=False, server_default="0"),
    # counts the user's requests from 1; 0 for rows older than this column
    sa.Column("number", sa.BigInteger, nullable=False, server_default="0"),
    # its order in the queue of its model and priority class (see `domain.fair_queueing`)
    sa.Column("priority", sa.SmallInteger, nullable=False, server_default="1"),
    sa.Column("virtual_start", sa.BigInteger, nullable=False, server_default="0"),
    # when it entered the queue; later by the time for which it was held
    sa.Column("queued_at", Ms, nullable=False, server_default="0"),
    # since when it is held back, although it is accepted: it is not in the queue then
    sa.Column("held_since", Ms),
    # how often its class was raised because it waited so long
    sa.Column("raised", sa.SmallInteger, nullable=False, server_default="0"),
    # when it may be assigned or downloaded; for a download that a worker has claimed, when that claim ends
    sa.Column("due_at", Ms, nullable=False),
    # the end of the client's `deadlineMs`
    sa.Column("deadline_at", Ms),
    # the extension that holds it, or that made its pictures
    sa.Column("holder", sa.String(128)),
    sa.Column("connection_id", sa.String(36)),
    # the token of the holder's lease while it is processed, of a worker's claim while it is downloaded
    sa.Column("lease", sa.String(64)),
    sa.Column("lease_until", Ms),
    # the number of hand-offs, and the latest end of the current one
    sa.Column("attempt", sa.Integer, nullable=False, server_default="0"),
    sa.Column("attempt_until", Ms),
    # true once the holder has received the offer
    sa.Column("handed_over", sa.Boolean, nullable=False, server_default=sa.text("false")),
    # how many attempts failed (offers that never arrived are none), and the extension that the next one should not go to
    sa.Column("strikes", sa.Integer, nullable=False, server_default="0"),
    sa.Column("avoid", sa.String(128)),
    sa.Column("download_attempt", sa.Integer, nullable=False, server_default="0"),
    # the URLs of the pictures, as the extension reported them
    sa.Column("sources", sa.JSON(none_as_null=True)),
    # the host of the first picture that is fetched from elsewhere; null for uploads and data URLs
    sa.Column("source_host", sa.String(253)),
    # the `metadata` of the same report
    sa.Column("source_metadata", sa.JSON),
    sa.Column("error_code", sa.String(64)),
    sa.Column("error", sa.Text),
    sa.Column("reason", sa.Text),
    sa.Column("created_at", Ms, nullable=False),
    sa.Column("updated_at", Ms, nullable=False),
    sa.Column("started_at", Ms),
    sa.Column("generated_at", Ms),
    sa.Column("finished_at", Ms),
    # its client named no model: `model` is the default, and another one while an extension makes it with that
    sa.Column("any_model", sa.Boolean, nullable=False, server_default=sa.text("false")),
    # the style that made `prompt` of `original_prompt`, and the variables that its client gave; null without a style
    sa.Column("style", sa.String(64)),
    sa.Column("variables", sa.JSON(none_as_null=True)),
    sa.Column("original_prompt", sa.Text),
    # its batch, its number there from 1, and the id that the client gave it
    sa.Column("batch_id", sa.String(36)),
    sa.Column("batch_index", sa.Integer),
    sa.Column("custom_id", sa.String(128)),
    # the request that it tries again, and the one that has taken its place in the batch
    sa.Column("retry_of", sa.String(36)),
    sa.Column("replaced_by", sa.String(36)),
    # equal for identical requests (see `domain.fingerprints`); null for one that has failed or was cancelled, and for rows
    # older than this column
    sa.Column("fingerprint", sa.String(64)),
    # `prefer` or `only` if it may get the pictures of an identical request
    sa.Column("cache", sa.String(8)),
    # the identical request whose pictures it waits for, held
    sa.Column("follows", sa.String(36)),
    # true while others follow it; once it has ended, they are still to be resolved then
    sa.Column("followed", sa.Boolean, nullable=False, server_default=sa.text("false")),
    # the identical request whose pictures it has, or gets if that was complete when it was submitted
    sa.Column("cached_from", sa.String(36)),
    # what it asks for beside a picture of its text (see `domain.operations`), if it has input pictures
    sa.Column("operation", sa.String(16), nullable=False, server_default=""),
    # the request that its first input picture is of
    sa.Column("parent_id", sa.String(36)),
    # for how many days its client wants the pictures kept, when they are due to be removed, and when they were
    sa.Column("keep_days", sa.Integer),
    sa.Column("remove_at", Ms),
    sa.Column("pictures_removed_at", Ms),
    # how many previews of each picture its client wants
    sa.Column("previews", sa.SmallInteger, nullable=False, server_default="0"),
)


def one_of(*statuses: str) -> sa.ColumnElement[bool]:
    """The job's status is one of these literals."""
    words = [sa.literal_column(f"'{status}'", sa.String) for status in statuses]
    return jobs.c.status == words[0] if len(words) == 1 else jobs.c.status.in_(words)


# A partial index is used by queries that repeat its condition literally. With the status as a parameter PostgreSQL would plan
# each execution again, and SQLite would not use the index for a list.
ACCEPTED = one_of("accepted")
WAITING = ACCEPTED & jobs.c.held_since.is_(None)  # in the queue
HELD = ACCEPTED & jobs.c.held_since.is_not(None)
FOLLOWING = HELD & jobs.c.follows.is_not(None)  # it waits for the pictures of an identical request
HELD_BACK = HELD & jobs.c.follows.is_(None)  # it may be released
PROCESSING = one_of("processing")
DOWNLOADING = one_of("downloading")
OPEN = one_of("accepted", "processing", "downloading")
ENDED = one_of("completed", "failed", "cancelled")


def partial_index(name: str, *columns: sa.ColumnElement[object], where: object) -> None:
    sa.Index(name, *columns, sqlite_where=where, postgresql_where=where)


# Each frequent query has its index. Indexes of open jobs stay small when the history grows.
model_name = sa.func.lower(jobs.c.model)  # names of models match without case
model_key = model_name + jobs.c.operation  # the queue of a model and an operation
_order = (jobs.c.priority, jobs.c.virtual_start, jobs.c.id)
partial_index("ix_jobs_queue", model_key, *_order, where=WAITING)
partial_index("ix_jobs_queue_unnamed_model", jobs.c.operation, *_order, where=WAITING & jobs.c.any_model)
partial_index("ix_jobs_queue_of_user", jobs.c.user_id, model_key, *_order, where=WAITING)
partial_index("ix_jobs_waiting_since", model_key, jobs.c.queued_at, jobs.c.priority, where=WAITING)
partial_index("ix_jobs_raised", jobs.c.user_id, where=WAITING & (jobs.c.raised > sa.literal_column("0")))
partial_index("ix_jobs_held_of_user", jobs.c.user_id, jobs.c.batch_id, jobs.c.id, where=HELD_BACK)
_of_batch = jobs.c.batch_id.is_not(None)
partial_index(
    "ix_jobs_held_of_batch", jobs.c.batch_id, jobs.c.priority, jobs.c.batch_index, where=HELD_BACK & _of_batch
)
RELEASED = (
    OPEN & jobs.c.held_since.is_(None) & _of_batch
)  # items that are in the queue or beyond it, and have not ended
partial_index("ix_jobs_released_of_batch", jobs.c.batch_id, jobs.c.status, where=RELEASED)
CURRENT = _of_batch & jobs.c.replaced_by.is_(None)  # the item that counts, of several that tried the same
partial_index("ix_jobs_batch", jobs.c.batch_id, jobs.c.batch_index, where=CURRENT)
partial_index("ix_jobs_batch_status", jobs.c.batch_id, jobs.c.status, jobs.c.batch_index, where=CURRENT)
partial_index("ix_jobs_custom_id", jobs.c.batch_id, jobs.c.custom_id, where=CURRENT & jobs.c.custom_id.is_not(None))
partial_index("ix_jobs_held", jobs.c.holder, where=PROCESSING)
# IS NOT NULL keeps PostgreSQL from choosing this index for the jobs of one extension, where it would read all leases.
partial_index("ix_jobs_lease_until", jobs.c.lease_until, where=PROCESSING & jobs.c.lease_until.is_not(None))
partial_index("ix_jobs_download_due", jobs.c.due_at, where=DOWNLOADING)
partial_index(
    "ix_jobs_download_running",
    jobs.c.holder,
    jobs.c.source_host,
    jobs.c.due_at,
    where=DOWNLOADING & jobs.c.lease.is_not(None),
)
partial_index("ix_jobs_deadline", jobs.c.deadline_at, where=OPEN & jobs.c.deadline_at.is_not(None))
partial_index("ix_jobs_open", jobs.c.id, jobs.c.status, where=OPEN)
# in the order in which they were completed: new entries are at the ends, however long the history is
MEASURED = one_of("completed") & jobs.c.started_at.is_not(None)
partial_index("ix_jobs_completed", model_key, jobs.c.finished_at, where=MEASURED)
partial_index("ix_jobs_ended", jobs.c.status, jobs.c.id, where=ENDED)
# What an identical request may follow, or use. The condition names no status: each change of one would write the index.
IDENTICAL = jobs.c.fingerprint.is_not(None) & jobs.c.held_since.is_(None)
_identical = (jobs.c.user_id, jobs.c.fingerprint, jobs.c.finished_at, jobs.c.priority, jobs.c.id)
partial_index("ix_jobs_identical", *_identical, where=IDENTICAL)
partial_index("ix_jobs_following", jobs.c.follows, jobs.c.priority, jobs.c.id, where=FOLLOWING)
ENDED_WITH_FOLLOWERS = jobs.c.finished_at.is_not(None) & jobs.c.followed
partial_index("ix_jobs_followed", jobs.c.id, where=ENDED_WITH_FOLLOWERS)
partial_index("ix_jobs_parent", jobs.c.parent_id, jobs.c.id, where=jobs.c.parent_id.is_not(None))
HAS_PICTURES = jobs.c.pictures_removed_at.is_(None)
TO_REMOVE = jobs.c.remove_at.is_not(None) & HAS_PICTURES
partial_index("ix_jobs_remove_at", jobs.c.remove_at, where=TO_REMOVE)
sa.Index("ix_jobs_user", jobs.c.user_id, jobs.c.id)
sa.Index("ix_jobs_user_status", jobs.c.user_id, jobs.c.status, jobs.c.id)

# Always read by request and number; on SQLite the table is therefore stored in that order, without a rowid.
events = sa.Table(
    "events",
    metadata,
    sa.Column("job_id", sa.String(36), sa.ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("type", sa.String(64), nullable=False),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("at", Ms, nullable=False),
    sa.Column("data", sa.JSON, nullable=False),
    sqlite_with_rowid=False,
)

images = sa.Table(
    "images",
    metadata,
    sa.Column("job_id", sa.String(36), sa.ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("position", sa.Integer, primary_key=True),
    sa.Column("file", sa.String(80), nullable=False, unique=True),
    sa.Column("source_url", sa.Text),
    sa.Column("width", sa.Integer, nullable=False),
    sa.Column("height", sa.Integer, nullable=False),
    sa.Column("bytes", sa.BigInteger, nullable=False),
    sa.Column("sha256", sa.String(64), nullable=False),
    sa.Column("created_at", Ms, nullable=False),
)

# Files that downloads are about to write: files left by a crash are found here, not by listing the folder.
files = sa.Table(
    "files",
    metadata,
    sa.Column("name", sa.String(80), primary_key=True),
    sa.Column("job_id", sa.String(36), nullable=False),
    sa.Column("created_at", Ms, nullable=False, index=True),
)

uploads = sa.Table(
    "uploads",
    metadata,
    sa.Column("job_id", sa.String(36), primary_key=True),
    sa.Column("attempt", sa.Integer, primary_key=True),
    sa.Column("position", sa.Integer, primary_key=True),
    sa.Column("sha256", sa.String(64)),
    sa.Column("bytes", sa.BigInteger),
    sa.Column("created_at", Ms, nullable=False, index=True),
)

extensions = sa.Table(
    "extensions",
    metadata,
    sa.Column("id", sa.String(128), primary_key=True),
    sa.Column("connection_id", sa.String(36)),
    sa.Column("hub_id", sa.String(36)),
    sa.Column("connected", sa.Boolean, nullable=False),
    sa.Column("available", sa.Boolean, nullable=False),
    sa.Column("capabilities", sa.JSON, nullable=False),
    sa.Column("max_concurrent", sa.Integer, nullable=False),
    sa.Column("version", sa.String(64)),
    sa.Column("token_id", sa.String(128)),
    sa.Column("held", sa.Integer, nullable=False, server_default="0"),
    sa.Column("connected_at", Ms, nullable=False),
    sa.Column("heard_at", Ms, nullable=False),
    sa.Column("disconnected_at", Ms),
    sa.Column("last_success_at", Ms, nullable=False, server_default="0"),
    # failures in a row, and the pause that follows from them
    sa.Column("failures", sa.Integer, nullable=False, server_default="0"),
    sa.Column("cooldown_until", Ms, nullable=False, server_default="0"),
    sa.Column("cooldown_reason", sa.String(400)),
    # for how long it was connected before the current connection, counted since the second of these
    sa.Column("connected_ms", Ms, nullable=False, server_default="0"),
    sa.Column("observed_since", Ms, nullable=False, server_default="0"),
)
sa.Index("ix_extensions_hub", extensions.c.hub_id, extensions.c.connected)
sa.Index("ix_extensions_connection", extensions.c.connection_id)
_connected = extensions.c.connected
# queries on SQLite contain `connected = 1`; without the comparison SQLAlchemy would render `connected` alone here
sa.Index("ix_extensions_connected", extensions.c.id, sqlite_where=_connected == 1, postgresql_where=_connected)
partial_index(
    "ix_extensions_free",
    extensions.c.held,
    extensions.c.last_success_at.desc(),
    extensions.c.id,
    where=_connected & extensions.c.available & (extensions.c.held < extensions.c.max_concurrent),
)

# One row per web process, updated while it is alive: the sockets of a dead process count as closed.
hubs = sa.Table(
    "hubs",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("seen_at", Ms, nullable=False, index=True),
    sa.Column("address", sa.Text),  # where clients reach it
)

# The virtual time of each queue, which is the greatest virtual start that was handed out of it, and when that happened last.
# `model` is its key: the model in lower case and the operation.
queues = sa.Table(
    "queues",
    metadata,
    sa.Column("model", sa.String(144), primary_key=True),
    sa.Column("priority", sa.SmallInteger, primary_key=True, autoincrement=False),
    sa.Column("virtual_time", sa.BigInteger, nullable=False),
    sa.Column("served_at", Ms, nullable=False),
)

# What operators have paused: everything, a model (in lower case), a user or an extension.
queue_pauses = sa.Table(
    "queue_pauses",
    metadata,
    sa.Column("kind", sa.String(16), primary_key=True),
    sa.Column("name", sa.String(128), primary_key=True),
    sa.Column("note", sa.String(400)),
    sa.Column("drain", sa.Boolean, nullable=False, server_default=sa.text("false")),
    sa.Column("paused_by", sa.String(128)),
    sa.Column("paused_at", Ms, nullable=False),
    sa.Column("until", Ms),
    # since when it is being ended, and the last request that was made up for: there may be too many for one transaction
    sa.Column("resumed_at", Ms),
    sa.Column("resumed_id", sa.String(36)),
)

batches = sa.Table(
    "batches",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("user_id", sa.String(128), nullable=False),
    sa.Column("correlation_id", sa.String(128), nullable=False),
    sa.Column("name", sa.String(200)),
    sa.Column("status", sa.String(16), nullable=False),
    # how many of its items are in the queue or beyond it at once
    sa.Column("concurrency", sa.Integer, nullable=False),
    sa.Column("defaults", sa.JSON, nullable=False),
    # how many items it has, and how many of them have ended in which way
    sa.Column("total", sa.Integer, nullable=False),
    sa.Column("completed", sa.Integer, nullable=False, server_default="0"),
    sa.Column("failed", sa.Integer, nullable=False, server_default="0"),
    sa.Column("cancelled", sa.Integer, nullable=False, server_default="0"),
    # how many have failed with which code
    sa.Column("failures", sa.JSON, nullable=False),
    sa.Column("version", sa.Integer, nullable=False, server_default="1"),
    sa.Column("last_event", sa.Integer, nullable=False, server_default="0"),
    sa.Column("paused_at", Ms),
    sa.Column("paused_by", sa.String(128)),
    sa.Column("created_at", Ms, nullable=False),
    sa.Column("updated_at", Ms, nullable=False),
    sa.Column("started_at", Ms),
    sa.Column("finished_at", Ms),
)
sa.Index("ix_batches_user", batches.c.user_id, batches.c.id)
partial_index("ix_batches_open", batches.c.id, where=batches.c.finished_at.is_(None))

# Numbered without gaps for each batch, as the events of requests are.
batch_events = sa.Table(
    "batch_events",
    metadata,
    sa.Column("batch_id", sa.String(36), sa.ForeignKey("batches.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("type", sa.String(64), nullable=False),
    sa.Column("at", Ms, nullable=False),
    sa.Column("data", sa.JSON, nullable=False),
    sqlite_with_rowid=False,
)

# When a capable extension was last connected, for each queue that jobs wait in; `*` is for those that name no model.
models_served = sa.Table(
    "models_served",
    metadata,
    sa.Column("model", sa.String(144), primary_key=True),
    sa.Column("served_at", Ms, nullable=False),
)

styles = sa.Table(
    "styles",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("owner", sa.String(128)),  # a user; null for everybody's
    sa.Column("name", sa.String(64), nullable=False),
    sa.Column("description", sa.Text),
    sa.Column("template", sa.Text, nullable=False),
    sa.Column("variables", sa.JSON, nullable=False),  # the defaults by name; null if a request has to give it
    sa.Column("model", sa.String(128)),
    sa.Column("parameters", sa.JSON, nullable=False),
    sa.Column("created_at", Ms, nullable=False),
    sa.Column("updated_at", Ms, nullable=False),
)
style_key = sa.func.lower(styles.c.name)  # names of styles match without case
SHARED = styles.c.owner.is_(None)
sa.Index("ix_styles_own", styles.c.owner, style_key, unique=True)
sa.Index("ix_styles_shared", style_key, unique=True, sqlite_where=SHARED, postgresql_where=SHARED)

sweeps = sa.Table(
    "sweeps",
    metadata,
    sa.Column("name", sa.String(32), primary_key=True),
    sa.Column("at", Ms, nullable=False),
)

# The answers to submissions with an Idempotency-Key. On SQLite the table is stored in the order of its key, without a rowid.
idempotency_keys = sa.Table(
    "idempotency_keys",
    metadata,
    sa.Column("owner", sa.String(128), primary_key=True),
    sa.Column("operation", sa.String(32), primary_key=True),
    sa.Column("key", sa.String(255), primary_key=True),
    # the SHA-256 of the body that the key was first sent with
    sa.Column("body_hash", sa.String(64), nullable=False),
    # the HTTP status and the body of the answer; null only inside the transaction that makes the row
    sa.Column("status", sa.Integer),
    sa.Column("answer", sa.Text),
    # the request or batch that was made
    sa.Column("result_id", sa.String(36)),
    sa.Column("created_at", Ms, nullable=False),
    # null: as long as what was made
    sa.Column("expires_at", Ms, index=True),
    sqlite_with_rowid=False,
)

# Counts that metrics show.
counters = sa.Table(
    "counters",
    metadata,
    sa.Column("name", sa.String(32), primary_key=True),
    sa.Column("value", sa.BigInteger, nullable=False),
)

secrets = sa.Table(
    "secrets",
    metadata,
    sa.Column("name", sa.String(32), primary_key=True),
    sa.Column("value", sa.LargeBinary, nullable=False),
    sa.Column("created_at", Ms, nullable=False),
)
