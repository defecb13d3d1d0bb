"""Everything that is stored about one user, for the user to have, or to be erased. Of secrets there are none in it."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    Table,
    bindparam,
    delete,
    exists,
    or_,
    select,
    tuple_,
    update,
)

from app.db.credential_tables import api_keys, users
from app.db.engine import Database, Transaction
from app.db.images import GIVEN_UP
from app.db.input_tables import inputs, job_inputs
from app.db.inputs import EXPIRED
from app.db.removals import give_up_files
from app.db.tables import (
    OPEN,
    batch_events,
    batches,
    events,
    files,
    idempotency_keys,
    images,
    jobs,
    queue_pauses,
    styles,
)
from app.db.webhook_tables import webhook_deliveries, webhook_endpoints

PAGE = 200

_USER: BindParameter[str] = bindparam("user_id")
_jobs = select(jobs.c.id).where(jobs.c.user_id == _USER)
_batches = select(batches.c.id).where(batches.c.user_id == _USER)
_endpoints = select(webhook_endpoints.c.id).where(webhook_endpoints.c.user_id == _USER)


class Part(NamedTuple):
    """A table, its rows of one user, and the columns that are left out: secrets, and what is not about the user."""

    table: Table
    of_user: ColumnElement[bool]
    left_out: frozenset[str] = frozenset()


PARTS: Mapping[str, Part] = {
    "user": Part(users, users.c.id == _USER),
    "keys": Part(api_keys, api_keys.c.user_id == _USER, frozenset({"hash"})),
    "requests": Part(jobs, jobs.c.user_id == _USER, frozenset({"lease", "connection_id", "fingerprint"})),
    "pictures": Part(images, images.c.job_id.in_(_jobs)),
    "events": Part(events, events.c.job_id.in_(_jobs)),
    "inputs_of_requests": Part(job_inputs, job_inputs.c.job_id.in_(_jobs)),
    "inputs": Part(inputs, inputs.c.user_id == _USER),
    "batches": Part(batches, batches.c.user_id == _USER),
    "batch_events": Part(batch_events, batch_events.c.batch_id.in_(_batches)),
    "styles": Part(styles, styles.c.owner == _USER),
    "webhooks": Part(webhook_endpoints, webhook_endpoints.c.user_id == _USER, frozenset({"key_fingerprint"})),
    "webhook_deliveries": Part(
        webhook_deliveries, webhook_deliveries.c.endpoint_id.in_(_endpoints), frozenset({"lease"})
    ),
    "idempotency_keys": Part(idempotency_keys, idempotency_keys.c.owner == _USER),
}


def any_of(connection: Connection, user_id: str) -> bool:
    """True if there is an account, a request, a batch, a style, a webhook or an input picture of this user."""
    roots = ("user", "requests", "batches", "styles", "webhooks", "inputs")
    found = or_(*(exists().where(PARTS[name].of_user) for name in roots))
    return bool(connection.execute(select(found), {"user_id": user_id}).scalar())


def rows(database: Database, part: Part, user_id: str) -> Iterator[dict[str, Any]]:
    """The rows of the user in this table, in the order of its key, read in pages."""
    key = list(part.table.primary_key.columns)
    columns = [column for column in part.table.c if column.name not in part.left_out]
    query = select(*columns).where(part.of_user).order_by(*key).limit(PAGE)
    after: Sequence[Any] | None = None
    while True:
        page = database.read(
            partial(_page, query=query if after is None else query.where(tuple_(*key) > after), user_id=user_id)
        )
        yield from page
        if len(page) < PAGE:
            return
        after = [page[-1][column.name] for column in key]


def _page(connection: Connection, query: Any, user_id: str) -> list[dict[str, Any]]:
    return [dict(row) for row in connection.execute(query, {"user_id": user_id}).mappings()]


def open_requests(connection: Connection, user_id: str) -> list[str]:
    """Some requests of the user that have not ended."""
    query = select(jobs.c.id).where(OPEN, jobs.c.user_id == user_id).order_by(jobs.c.id).limit(PAGE)
    return list(connection.execute(query).scalars())


def erase_requests(tx: Transaction, user_id: str) -> tuple[int, list[str]]:
    """Delete some requests of the user that have ended, with all that belongs to them.

    Returns how many, and their pictures, whose files are given up: delete them after the commit.
    """
    ended = select(jobs.c.id).where(jobs.c.user_id == user_id, ~OPEN).order_by(jobs.c.id).limit(PAGE)
    ids = list(tx.connection.execute(ended.with_for_update()).scalars())
    if not ids:
        return 0, []
    names = give_up_files(tx, ids) + _give_up_inputs(tx, ids)
    tx.connection.execute(delete(job_inputs).where(job_inputs.c.job_id.in_(ids)))
    tx.connection.execute(delete(jobs).where(jobs.c.id.in_(ids)))  # with events and pictures
    return len(ids), names


def erase_page(tx: Transaction, table: Table, of_user: ColumnElement[bool], user_id: str) -> int:
    """Delete some of the user's rows, with those that belong to them; returns how many."""
    [key] = table.primary_key.columns
    some = select(key).where(of_user).limit(PAGE)
    ids = list(tx.connection.execute(some, {"user_id": user_id}).scalars())
    if ids:
        tx.connection.execute(delete(table).where(key.in_(ids)))
    return len(ids)


def erase_rest(tx: Transaction, user_id: str) -> None:
    """Delete what is left beside the account. Uploaded input pictures expire, and the cleanup removes them."""
    tx.connection.execute(update(inputs).where(inputs.c.user_id == user_id).values(expires_at=EXPIRED))
    tx.connection.execute(delete(idempotency_keys).where(idempotency_keys.c.owner == user_id))
    tx.connection.execute(delete(queue_pauses).where(queue_pauses.c.kind == "user", queue_pauses.c.name == user_id))


def erase_account(tx: Transaction, user_id: str) -> None:
    """Delete the account with its keys."""
    tx.connection.execute(delete(api_keys).where(api_keys.c.user_id == user_id))
    tx.connection.execute(delete(users).where(users.c.id == user_id))


def _give_up_inputs(tx: Transaction, ids: Sequence[str]) -> list[str]:
    query = select(job_inputs.c.job_id, job_inputs.c.file).where(job_inputs.c.job_id.in_(ids))
    found = tx.connection.execute(query.order_by(job_inputs.c.file)).all()
    if found:
        given_up = tx.upsert(files).on_conflict_do_update(index_elements=["name"], set_={"created_at": GIVEN_UP})
        rows = [{"name": file, "job_id": job_id, "created_at": GIVEN_UP} for job_id, file in found]
        tx.connection.execute(given_up, rows)
    return [file for _, file in found]
