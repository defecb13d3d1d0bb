"""After the database's clock was set back: stamps from the future are treated as now, or they would rule until then.

Times that lie ahead by their meaning (leases, pauses, deadlines) are no further ahead than if they had been set now.
"""

from collections.abc import Sequence

from sqlalchemy import Column, literal, update

from app.db.compare_and_set import earlier
from app.db.credential_tables import api_keys, extension_tokens
from app.db.engine import Transaction
from app.db.tables import (
    DOWNLOADING,
    HELD,
    OPEN,
    WAITING,
    Ms,
    extensions,
    files,
    hubs,
    idempotency_keys,
    jobs,
    models_served,
    queue_pauses,
    queues,
    uploads,
)
from app.domain.ids import uuid7

# Columns that say when something happened, and that decisions are based on. Small tables, or columns with an index.
_PAST: Sequence[Column[int]] = (
    *(extensions.c[name] for name in ("connected_at", "heard_at", "disconnected_at", "last_success_at")),
    hubs.c.seen_at,
    models_served.c.served_at,
    queues.c.served_at,
    queue_pauses.c.paused_at,
    files.c.created_at,
    uploads.c.created_at,
    api_keys.c.last_used_at,
    extension_tokens.c.last_used_at,
)
_PAST_OF_OPEN_JOBS = (jobs.c.started_at, jobs.c.generated_at)


def bring_back(tx: Transaction, *, download_ms: int, cooldown_ms: int, key_ms: int) -> None:
    """Bring every stamp from the future back to now.

    A claimed download is due after `download_ms` for each picture at the latest, a cool-down lasts for `cooldown_ms` at
    the longest, and an Idempotency-Key is kept for `key_ms`, unless it has no end. For leases see `leases.extend_all`.
    """
    _bring_back_past(tx)
    _bring_back_submissions(tx)
    _bring_back_due(tx, download_ms)
    longest = tx.now + cooldown_ms
    paused = update(extensions).where(extensions.c.cooldown_until > longest)
    tx.connection.execute(paused.values(cooldown_until=longest))
    last = tx.now + key_ms
    tx.connection.execute(update(idempotency_keys).where(idempotency_keys.c.expires_at > last).values(expires_at=last))


def _bring_back_past(tx: Transaction) -> None:
    for column in _PAST:
        tx.connection.execute(update(column.table).where(column > tx.now).values({column.name: tx.now}))
    for column in _PAST_OF_OPEN_JOBS:
        tx.connection.execute(update(jobs).where(OPEN, column > tx.now).values({column.name: tx.now}))
    tx.connection.execute(update(jobs).where(HELD, jobs.c.held_since > tx.now).values(held_since=tx.now))


def _bring_back_submissions(tx: Transaction) -> None:
    """Move what was submitted in the future to now, with its deadline and its time in the queue."""
    ahead_ms = jobs.c.created_at - tx.now
    made_later = jobs.c.id > uuid7(tx.now, bytes(10))  # ids begin with their time, and have an index
    tx.connection.execute(
        update(jobs)
        .where(made_later, jobs.c.created_at > tx.now)
        .values(
            created_at=tx.now, queued_at=earlier(jobs.c.queued_at, tx.now), deadline_at=jobs.c.deadline_at - ahead_ms
        )
    )


def _bring_back_due(tx: Transaction, download_ms: int) -> None:
    tx.connection.execute(update(jobs).where(WAITING, jobs.c.due_at > tx.now).values(due_at=tx.now))
    tx.connection.execute(
        update(jobs).where(DOWNLOADING, jobs.c.lease.is_(None), jobs.c.due_at > tx.now).values(due_at=tx.now)
    )
    claimed_until = literal(tx.now, Ms) + jobs.c.number_of_images * download_ms
    tx.connection.execute(
        update(jobs).where(DOWNLOADING, jobs.c.lease.is_not(None)).values(due_at=earlier(jobs.c.due_at, claimed_until))
    )
