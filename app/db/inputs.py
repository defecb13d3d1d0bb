"""Input pictures that users have uploaded."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from sqlalchemy import Connection, Integer, bindparam, delete, func, insert, literal_column, select, update

from app.db.clock import now_ms
from app.db.engine import Transaction
from app.db.input_tables import inputs

EXPIRED = 0  # the `expires_at` of one that is removed before its time


@dataclass(frozen=True, slots=True)
class StoredInput:
    """An input picture: sizes in px and bytes, times in ms since the epoch."""

    id: str
    user_id: str
    file: str
    width: int
    height: int
    bytes: int
    sha256: str
    created_at: int
    expires_at: int


_COLUMNS = [inputs.c[name] for name in StoredInput.__dataclass_fields__]
_CURRENT = inputs.c.expires_at > now_ms()
_FIND = select(*_COLUMNS).where(inputs.c.id == bindparam("input_id"), _CURRENT)
_OF_USER = select(literal_column("1", Integer)).where(inputs.c.user_id == bindparam("user_id"), _CURRENT)
_EXPIRED = (
    select(*_COLUMNS).where(inputs.c.expires_at <= now_ms()).order_by(inputs.c.expires_at).limit(bindparam("limit"))
)


def add(tx: Transaction, stored: StoredInput) -> None:
    tx.connection.execute(insert(inputs), asdict(stored))


def find(connection: Connection, input_id: str) -> StoredInput | None:
    """The picture of this id, unless it has expired."""
    row = connection.execute(_FIND, {"input_id": input_id}).first()
    return None if row is None else StoredInput(*row)


def count(connection: Connection, user_id: str, most: int) -> int:
    """How many pictures of the user have not expired; counted up to `most`."""
    some = _OF_USER.order_by(inputs.c.expires_at).limit(most).subquery()
    return int(connection.execute(select(func.count()).select_from(some), {"user_id": user_id}).scalar_one())


def expire(tx: Transaction, input_id: str) -> None:
    """Let it expire now: no request can name it any more, and it can be removed."""
    tx.connection.execute(update(inputs).where(inputs.c.id == input_id).values(expires_at=EXPIRED))


def expired(connection: Connection, limit: int) -> list[StoredInput]:
    """Those that have expired, the oldest first."""
    return [StoredInput(*row) for row in connection.execute(_EXPIRED, {"limit": limit})]


def remove(tx: Transaction, input_ids: Sequence[str]) -> None:
    """Forget pictures whose files are removed."""
    tx.connection.execute(delete(inputs).where(inputs.c.id.in_(input_ids)))
