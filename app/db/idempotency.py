"""The answers to submissions with an Idempotency-Key, written in the transaction of what they submit."""

from typing import NamedTuple

from sqlalchemy import Connection, and_, bindparam, delete, select, tuple_, update

from app.db.clock import statement_now_ms
from app.db.engine import Transaction
from app.db.tables import idempotency_keys
from app.domain.idempotency import OwnedKey

_COLUMNS = idempotency_keys.c
_KEY = (_COLUMNS.owner, _COLUMNS.operation, _COLUMNS.key)
_NOW = statement_now_ms()
_is_this = and_(*(column == bindparam(f"this_{column.name}") for column in _KEY))
_FIND = select(_COLUMNS.body_hash, _COLUMNS.status, _COLUMNS.answer).where(
    _is_this, _COLUMNS.expires_at.is_(None) | (_COLUMNS.expires_at > _NOW)
)
_RESULT = _FIND.with_only_columns(_COLUMNS.result_id)
_KEEP = update(idempotency_keys).where(_is_this)


class StoredAnswer(NamedTuple):
    """The answer that a key stands for, and the hash of the body that it was given to."""

    body_hash: str
    status: int
    body: str


def find(connection: Connection, key: OwnedKey) -> StoredAnswer | None:
    """The answer that the key stands for; None if it is unknown or expired."""
    row = connection.execute(_FIND, _this(key)).first()
    return None if row is None else StoredAnswer(*row)


def claim(tx: Transaction, key: OwnedKey, body_hash: str, lifetime_ms: int | None) -> bool:
    """Take the key for this transaction, which must then `keep` an answer; False if it stands for one already.

    One statement decides: another transaction with the same key waits here until this one ends. `lifetime_ms` None is as
    long as what the transaction makes.
    """
    expires_at = None if lifetime_ms is None else _NOW + lifetime_ms
    values = {"body_hash": body_hash, "created_at": _NOW, "expires_at": expires_at}
    forgotten = {"status": None, "answer": None, "result_id": None}
    claimed = tx.connection.execute(
        tx.upsert(idempotency_keys)
        .values(**key._asdict(), **values)
        .on_conflict_do_update(index_elements=_KEY, set_=values | forgotten, where=_COLUMNS.expires_at <= _NOW)
        .returning(_COLUMNS.key)
    )
    return claimed.first() is not None


def result_of(connection: Connection, key: OwnedKey) -> str | None:
    """The id of what was made with the key; None if it is unknown or expired."""
    found: str | None = connection.execute(_RESULT, _this(key)).scalar()
    return found


def take_over(tx: Transaction, key: OwnedKey, result_id: str, lifetime_ms: int | None) -> bool:
    """Take the key for this transaction, as `claim` does, if it stands for this result; False if it no longer does."""
    expires_at = None if lifetime_ms is None else _NOW + lifetime_ms
    known = _COLUMNS.result_id == bindparam("known_result")
    taken = _KEEP.where(known).values(result_id=None, created_at=_NOW, expires_at=expires_at)
    return tx.connection.execute(taken, {**_this(key), "known_result": result_id}).rowcount == 1


def keep(tx: Transaction, key: OwnedKey, status: int, body: str, result_id: str) -> None:
    """Store the answer of the transaction that claimed the key, and the id of what it made."""
    tx.connection.execute(_KEEP.values(status=status, answer=body, result_id=result_id), _this(key))


def remove_expired(tx: Transaction, now_ms: int, limit: int) -> int:
    """Remove up to `limit` keys that have expired; returns how many."""
    oldest = select(*_KEY).where(_COLUMNS.expires_at <= now_ms).order_by(_COLUMNS.expires_at).limit(limit)
    # the condition again: PostgreSQL checks only this one for a row that was replaced meanwhile
    expired = delete(idempotency_keys).where(tuple_(*_KEY).in_(oldest), _COLUMNS.expires_at <= now_ms)
    return tx.connection.execute(expired).rowcount


def _this(key: OwnedKey) -> dict[str, str]:
    return {f"this_{name}": value for name, value in key._asdict().items()}
