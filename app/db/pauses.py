"""What operators have paused. There are few rows, so most callers read all of them."""

from collections import defaultdict
from collections.abc import Collection, Mapping

from sqlalchemy import ColumnElement, Connection, bindparam, case, delete, exists, func, literal_column, select, update

from app.db.clock import now_ms
from app.db.engine import Transaction
from app.db.tables import OPEN, WAITING, batches, jobs, model_name, queue_pauses
from app.domain.pauses import PauseKind, Pauses, PauseTarget, QueuePause

_COLUMNS = [queue_pauses.c[name] for name in ("kind", "name", "paused_at", "until", "note", "drain", "paused_by")]
# The kind of a row that is no pause: it says that the requests of a user are being released since `paused_at`.
RESUMED = "resumed"
_ALL = (
    select(*_COLUMNS)
    .where(queue_pauses.c.kind != RESUMED)
    .order_by(queue_pauses.c.paused_at, queue_pauses.c.kind, queue_pauses.c.name)
)
_OVER = _ALL.where((queue_pauses.c.until <= now_ms()) | queue_pauses.c.resumed_at.is_not(None))
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
    """Those whose end has come or has begun."""
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
    values |= {"resumed_at": None, "resumed_id": None}
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


def begin_end(tx: Transaction, target: PauseTarget, until: int | None = None) -> tuple[QueuePause, int, str] | None:
    """Begin to end the pause of this, or continue, while it is locked. `until` is as for `remove`.

    Returns it with the time (ms) of its end, and the last job that was made up for; None if it is not paused.
    """
    this = _THIS if until is None else (*_THIS, queue_pauses.c.until == until)
    ended_at = func.coalesce(queue_pauses.c.resumed_at, tx.now)
    ending = update(queue_pauses).where(*this).values(resumed_at=ended_at)
    key = {"this_kind": target.kind.value, "this_name": target.name}
    row = tx.connection.execute(
        ending.returning(*_COLUMNS, queue_pauses.c.resumed_at, queue_pauses.c.resumed_id), key
    ).first()
    return None if row is None else (_pause(*row[:-2]), row[-2], row[-1] or "")


def make_up_for(
    tx: Transaction, pause: QueuePause, ended_at: int, others: Mapping[str, int], after: str, limit: int
) -> str | None:
    """Let the next jobs that waited during the pause have waited that much shorter, up to `limit` of them, after the id `after`.

    The time counts only until another pause of the job's model began: `others` are these beginnings (ms) by model, and `*` is
    that of everything. Returns the last job's id, which is stored; None if there are no more.
    """
    waiting = select(jobs.c.id, model_name).where(OPEN, WAITING, jobs.c.id > after, jobs.c.queued_at < ended_at)
    if pause.target.kind is PauseKind.MODEL:
        waiting = waiting.where(model_name == pause.target.name)
    found = tx.connection.execute(waiting.order_by(jobs.c.id).limit(limit)).all()
    ids: dict[int, list[str]] = defaultdict(list)
    for job_id, model in found:
        ids[min(ended_at, others.get(model, ended_at), others.get("*", ended_at))].append(job_id)
    for until, some in sorted(ids.items()):
        longer = jobs.c.queued_at + (until - pause.paused_at)
        shifted = case((jobs.c.queued_at < pause.paused_at, longer), else_=until)
        late = update(jobs).where(jobs.c.id.in_(some), jobs.c.queued_at < until, WAITING)
        if until > pause.paused_at:
            tx.connection.execute(late.values(queued_at=shifted))
    if len(found) < limit:
        return None
    key = {"this_kind": pause.target.kind.value, "this_name": pause.target.name}
    tx.connection.execute(update(queue_pauses).where(*_THIS).values(resumed_id=found[-1].id), key)
    return str(found[-1].id)


def _pause(
    kind: str, name: str, paused_at: int, until: int | None, note: str | None, drain: bool, by: str | None
) -> QueuePause:
    return QueuePause(PauseTarget(PauseKind(kind), name), paused_at, until, note, drain, by)
