"""The tables. Times are whole milliseconds since the epoch (UTC); names are the contract's words in snake_case."""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    false,
    literal_column,
    text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

Ms = BigInteger

jobs = Table(
    "jobs",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("correlation_id", String(128), nullable=False),
    Column("user_id", String(128), nullable=False),
    Column("model", String(128), nullable=False),
    Column("prompt", Text, nullable=False),
    Column("parameters", JSON, nullable=False),
    Column("number_of_images", Integer, nullable=False),
    Column("status", String(16), nullable=False),
    Column("progress", Integer, nullable=False, server_default="0"),
    Column("progress_note", String(200)),
    # `version` rises with every change; `last_event` is the sequence number of the newest event
    Column("version", Integer, nullable=False, server_default="1"),
    Column("last_event", Integer, nullable=False, server_default="0"),
    # counts the user's requests from 1; 0 for rows older than this column
    Column("number", BigInteger, nullable=False, server_default="0"),
    # its position in the queue (a virtual time), and the time before which it is not due
    Column("place", Ms, nullable=False),
    Column("due_at", Ms, nullable=False),
    Column("deadline_at", Ms),
    # its holder: an extension while it is processed, a worker while it is downloaded
    Column("holder", String(128)),
    Column("connection_id", String(36)),
    Column("lease", String(64)),
    Column("lease_until", Ms),
    Column("attempt", Integer, nullable=False, server_default="0"),
    Column("attempt_until", Ms),
    Column("handed_over", Boolean, nullable=False, server_default=text("false")),
    Column("strikes", Integer, nullable=False, server_default="0"),
    Column("avoid", String(128)),
    Column("download_attempt", Integer, nullable=False, server_default="0"),
    Column("sources", JSON(none_as_null=True)),
    Column("source_metadata", JSON),
    Column("error_code", String(64)),
    Column("error", Text),
    Column("reason", Text),
    Column("created_at", Ms, nullable=False),
    Column("updated_at", Ms, nullable=False),
    Column("started_at", Ms),
    Column("generated_at", Ms),
    Column("finished_at", Ms),
)


def one_of(*statuses: str) -> ColumnElement[bool]:
    """The job's status is one of these literals."""
    if not statuses:
        return false()
    words = [literal_column(f"'{status}'", String) for status in statuses]
    return jobs.c.status == words[0] if len(words) == 1 else jobs.c.status.in_(words)


# A partial index is used by queries that repeat its condition literally. With the status as a parameter PostgreSQL would plan
# each execution again, and SQLite would not use the index for a list.
WAITING = one_of("accepted")
PROCESSING = one_of("processing")
DOWNLOADING = one_of("downloading")
OPEN = one_of("accepted", "processing", "downloading")
ENDED = one_of("completed", "failed", "cancelled")


def partial_index(name: str, *columns: ColumnElement[object], where: object) -> None:
    Index(name, *columns, sqlite_where=where, postgresql_where=where)


# Each frequent query has its index. Indexes of open jobs stay small when the history grows.
partial_index("ix_jobs_line", jobs.c.model, jobs.c.place, jobs.c.id, where=WAITING)
partial_index("ix_jobs_line_any_model", jobs.c.place, jobs.c.id, where=WAITING)
partial_index("ix_jobs_waiting_since", jobs.c.model, jobs.c.created_at, where=WAITING)
partial_index("ix_jobs_held", jobs.c.holder, where=PROCESSING)
# IS NOT NULL keeps PostgreSQL from choosing this index for the jobs of one extension, where it would read all leases.
partial_index("ix_jobs_lease_until", jobs.c.lease_until, where=PROCESSING & jobs.c.lease_until.is_not(None))
partial_index("ix_jobs_download_due", jobs.c.due_at, where=DOWNLOADING)
partial_index("ix_jobs_deadline", jobs.c.deadline_at, where=OPEN & jobs.c.deadline_at.is_not(None))
partial_index("ix_jobs_open", jobs.c.id, jobs.c.status, where=OPEN)
partial_index("ix_jobs_ended", jobs.c.status, jobs.c.id, where=ENDED)
Index("ix_jobs_user", jobs.c.user_id, jobs.c.id)
Index("ix_jobs_user_status", jobs.c.user_id, jobs.c.status, jobs.c.id)

# Always read by request and number; on SQLite the table is therefore stored in that order, without a rowid.
events = Table(
    "events",
    metadata,
    Column("job_id", String(36), ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("type", String(64), nullable=False),
    Column("status", String(16), nullable=False),
    Column("at", Ms, nullable=False),
    Column("data", JSON, nullable=False),
    sqlite_with_rowid=False,
)

images = Table(
    "images",
    metadata,
    Column("job_id", String(36), ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("file", String(80), nullable=False, unique=True),
    Column("source_url", Text),
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("created_at", Ms, nullable=False),
)

# Files that downloads are about to write: files left by a crash are found here, not by listing the folder.
files = Table(
    "files",
    metadata,
    Column("name", String(80), primary_key=True),
    Column("job_id", String(36), nullable=False),
    Column("created_at", Ms, nullable=False, index=True),
)

uploads = Table(
    "uploads",
    metadata,
    Column("job_id", String(36), primary_key=True),
    Column("attempt", Integer, primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("sha256", String(64)),
    Column("bytes", BigInteger),
    Column("created_at", Ms, nullable=False, index=True),
)

extensions = Table(
    "extensions",
    metadata,
    Column("id", String(128), primary_key=True),
    Column("connection_id", String(36)),
    Column("hub_id", String(36)),
    Column("connected", Boolean, nullable=False),
    Column("available", Boolean, nullable=False),
    Column("capabilities", JSON, nullable=False),
    Column("max_concurrent", Integer, nullable=False),
    Column("version", String(64)),
    Column("token_id", String(128)),
    Column("held", Integer, nullable=False, server_default="0"),
    Column("connected_at", Ms, nullable=False),
    Column("heard_at", Ms, nullable=False),
    Column("disconnected_at", Ms),
    Column("last_success_at", Ms, nullable=False, server_default="0"),
    # failures in a row, and the pause that follows from them
    Column("failures", Integer, nullable=False, server_default="0"),
    Column("cooldown_until", Ms, nullable=False, server_default="0"),
    Column("cooldown_reason", String(400)),
)
Index("ix_extensions_hub", extensions.c.hub_id, extensions.c.connected)
Index("ix_extensions_connection", extensions.c.connection_id)
_connected = extensions.c.connected
# queries on SQLite contain `connected = 1`; without the comparison SQLAlchemy would render `connected` alone here
Index("ix_extensions_connected", extensions.c.id, sqlite_where=_connected == 1, postgresql_where=_connected)
partial_index(
    "ix_extensions_free",
    extensions.c.held,
    extensions.c.last_success_at.desc(),
    extensions.c.id,
    where=_connected & extensions.c.available & (extensions.c.held < extensions.c.max_concurrent),
)

# One row per web process, updated while it is alive: the sockets of a dead process count as closed.
hubs = Table(
    "hubs",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("seen_at", Ms, nullable=False, index=True),
)

# When a capable extension was last connected, for each model that jobs wait for.
models_served = Table(
    "models_served",
    metadata,
    Column("model", String(128), primary_key=True),
    Column("served_at", Ms, nullable=False),
)

sweeps = Table(
    "sweeps",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("at", Ms, nullable=False),
)

secrets = Table(
    "secrets",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("value", LargeBinary, nullable=False),
    Column("created_at", Ms, nullable=False),
)
