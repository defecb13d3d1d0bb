"""What operators have paused. There are few rows, so most callers read all of them."""

from collections.abc import Collection

from sqlalchemy import ColumnElement, Connection, bindparam, case, delete, exists, literal_column, select, update

from app.db.clock import now_ms
from app.db.engine import Transaction
from app.db.tables import WAITING, batches, jobs, model_key, queue_pauses
from app.domain.pauses import PauseKind, Pauses, PauseTarget, QueuePause

_COLUMNS = [queue_pauses.c[name] for name in ("kind", "name", "paused_at", "until", "note", "drain", "paused_by")]
# The kind of a row that is no pause: it says that the requests of a user are being released since `paused_at`.
RESUMED = "resumed"
_ALL = (
    select(*_COLUMNS)
    .where(queue_pauses.c.kind != RESUMED)
    .order_by(queue_pauses.c.paused_at, queue_pauses.c.kind, queue_pauses.c.name)
)
_OVER = _ALL.where(queue_pauses.c.until <= now_ms())
_THIS = (queue_pauses.c.kind == bindparam("this_kind"), queue_pauses.c.name == bindparam("this_name"))


def paused(kind: PauseKind, name: ColumnElement[str]) -> ColumnElement[bool]:
    """The thing of this kind and name is paused."""
    return exists().where(queue_pauses.c.kind == literal_column(f"'{kind}'"), queue_pauses.c.name == name)


_USER_IS_PAUSED = select(paused(PauseKind.USER, bindparam("user_id", type_=queue_pauses.c.name.type)))


def every(connection: Connection) -> Pauses:
    """All pauses, the oldest first."""
    return Pauses.of(_pause(*row) for row in connection.execute(_ALL))


def of_kind(connection: Connection, kind: PauseKind) -> dict[str, QueuePause]:
    """The pauses of this kind, by the names of what is paused."""
    return {pause.target.name: pause for pause in every(connection) if pause.target.kind is kind}


def over(connection: Connection) -> list[QueuePause]:
    """Those whose end has come."""
    return [_pause(*row) for row in connection.execute(_OVER)]


def user_is_paused(connection: Connection, user_id: str) -> bool:
    """True if the user's requests are held back."""
    return bool(connection.execute(_USER_IS_PAUSED, {"user_id": user_id}).scalar_one())


def paused_batches(connection: Connection, batch_ids: Collection[str]) -> set[str]:
    """Those of these batches that are paused."""
    if not batch_ids:
        return set()
    query = select(batches.c.id).where(batches.c.id.in_(list(batch_ids)), batches.c.paused_at.is_not(None))
    return set(connection.execute(query).scalars())


def put(tx: Transaction, pause: QueuePause) -> QueuePause:
    """Store the pause; one that exists keeps its beginning, and gets the rest of this one. Returns what is stored."""
    values = {"until": pause.until, "note": pause.note, "drain": pause.drain, "paused_by": pause.paused_by}
    key = {"kind": pause.target.kind.value, "name": pause.target.name}
    statement = tx.upsert(queue_pauses).values(**key, paused_at=pause.paused_at, **values)
    if pause.target.kind is PauseKind.USER:
        forget_resumed(tx, pause.target.name)
    stored = statement.on_conflict_do_update(index_elements=["kind", "name"], set_=values).returning(*_COLUMNS)
    return _pause(*tx.connection.execute(stored).one())


def remove(tx: Transaction, target: PauseTarget, until: int | None = None) -> QueuePause | None:
    """End the pause of this; None if it is not paused. With `until` only if that is still the pause's end (ms)."""
    this = delete(queue_pauses).where(*_THIS)
    if until is not None:
        this = this.where(queue_pauses.c.until == until)
    key = {"this_kind": target.kind.value, "this_name": target.name}
    row = tx.connection.execute(this.returning(*_COLUMNS), key).first()
    return None if row is None else _pause(*row)


def add_resumed(tx: Transaction, user_id: str) -> None:
    """Store that the pause of this user has ended, and that the user's requests are to be released."""
    statement = tx.upsert(queue_pauses).values(kind=RESUMED, name=user_id, paused_at=tx.now)
    key = ["kind", "name"]
    tx.connection.execute(statement.on_conflict_do_update(index_elements=key, set_={"paused_at": tx.now}))


def resumed_users(connection: Connection) -> list[str]:
    """The users whose requests are to be released."""
    query = select(queue_pauses.c.name).where(queue_pauses.c.kind == RESUMED)
    return list(connection.execute(query).scalars())


def forget_resumed(tx: Transaction, user_id: str, before_ms: int = 0) -> None:
    """The user's requests are released, if the pause has ended at least `before_ms` ago."""
    done = delete(queue_pauses).where(queue_pauses.c.kind == RESUMED, queue_pauses.c.name == user_id)
    tx.connection.execute(done.where(queue_pauses.c.paused_at <= tx.now - before_ms))


def make_up_for(
    tx: Transaction, since: int, until: int, *, model: str | None = None, without: Collection[str] = ()
) -> None:
    """Let the jobs that waited from `since` to `until` (ms) have waited that much shorter: those for `model`, or all of them
    but those for the models `without`."""
    shifted = case((jobs.c.queued_at < since, jobs.c.queued_at + (until - since)), else_=until)
    waiting = update(jobs).where(WAITING, jobs.c.queued_at < until).values(queued_at=shifted)
    if model is not None:
        waiting = waiting.where(model_key == model)
    if without:
        waiting = waiting.where(model_key.not_in(list(without)))
    tx.connection.execute(waiting)


def _pause(
    kind: str, name: str, paused_at: int, until: int | None, note: str | None, drain: bool, by: str | None
) -> QueuePause:
    return QueuePause(PauseTarget(PauseKind(kind), name), paused_at, until, note, drain, by)
