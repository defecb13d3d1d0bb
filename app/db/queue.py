"""The queues of waiting jobs, one for each model and priority class. Few columns are read, since most of the jobs read are
not assigned."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Integer, bindparam, case, func, literal_column, select

from app.db.engine import Transaction
from app.db.jobs import STATEMENT_NOW
from app.db.tables import WAITING, jobs, model_key, queues
from app.domain.fair_queueing import Priority, in_order
from app.domain.operations import Operation, queue_key

MOST_MODELS = 500  # of those that jobs wait for; the others follow when these have been served


@dataclass(frozen=True, slots=True)
class QueuedJob:
    """A waiting job that is due: the columns that are needed to assign it, and when its queue was last served (ms)."""

    id: str
    model: str
    attempt: int
    avoid: str | None
    any_model: bool
    priority: int
    virtual_start: int
    operation: str
    served_at: int

    @property
    def queue_key(self) -> str:
        """The name of its queue."""
        return queue_key(self.model, self.operation)


_COLUMNS = ("id", "model", "attempt", "avoid", "any_model", "priority", "virtual_start", "operation")
_ORDER = (jobs.c.priority, jobs.c.virtual_start, jobs.c.id)
_WAITING = (
    select(*(jobs.c[name] for name in _COLUMNS))
    .add_columns(func.coalesce(queues.c.served_at, 0))
    .outerjoin_from(jobs, queues, (queues.c.model == model_key) & (queues.c.priority == jobs.c.priority))
    .where(WAITING, jobs.c.due_at <= STATEMENT_NOW)
    .limit(bindparam("limit", type_=Integer))
)
_ANY = _WAITING.order_by(model_key, *_ORDER)
_operation = bindparam("operation", type_=jobs.c.operation.type)
_FIRST_UNNAMED = _WAITING.where(jobs.c.any_model, jobs.c.operation == _operation).order_by(*_ORDER)
_FIRST_OF_MODEL = _WAITING.where(model_key == bindparam("model")).order_by(*_ORDER)
# one index lookup for each model (a loose index scan)
_models = select(func.min(model_key).label("model")).where(WAITING).cte("models", recursive=True)
_models = _models.union_all(
    select(
        select(func.min(model_key)).where(WAITING, model_key > _models.c.model).correlate(_models).scalar_subquery()
    ).where(_models.c.model.is_not(None))
)
_MODELS = select(_models.c.model).where(_models.c.model.is_not(None)).limit(literal_column(str(MOST_MODELS), Integer))

# of each queue the first entries of one index, and a count in another
_depths = (
    select(model_key.label("model"), jobs.c.priority, func.count().label("depth"))
    .where(WAITING)
    .group_by(model_key, jobs.c.priority)
    .cte("depths")
)
_oldest = (
    select(jobs.c.queued_at)
    .where(WAITING, model_key == _depths.c.model, jobs.c.priority == _depths.c.priority)
    .order_by(jobs.c.queued_at)
    .limit(literal_column("1", Integer))
    .correlate(_depths)
    .scalar_subquery()
)
_DEPTHS = select(_depths.c.model, _depths.c.priority, _depths.c.depth, func.coalesce(_oldest, STATEMENT_NOW)).order_by(
    _depths.c.model, _depths.c.priority
)


def some(connection: Connection, limit: int) -> list[QueuedJob]:
    """Waiting jobs, in no order that matters; if there are fewer than `limit`, these are all."""
    return [QueuedJob(*row) for row in connection.execute(_ANY, {"limit": limit})]


def first_unnamed(connection: Connection, operation: Operation, limit: int) -> list[QueuedJob]:
    """The first waiting jobs for this operation whose clients named no model."""
    return [QueuedJob(*row) for row in connection.execute(_FIRST_UNNAMED, {"operation": operation, "limit": limit})]


def first_of(connection: Connection, keys: Iterable[str], limit: int) -> list[QueuedJob]:
    """The first waiting jobs of the queues with these keys."""
    rows = (connection.execute(_FIRST_OF_MODEL, {"model": key, "limit": limit}) for key in keys)
    return in_order((QueuedJob(*row) for some_rows in rows for row in some_rows), limit)


def models_waited_for(connection: Connection) -> list[str]:
    """The keys of the queues in which jobs wait, in alphabetical order; at most `MOST_MODELS`."""
    return list(connection.execute(_MODELS).scalars())


@dataclass(frozen=True, slots=True)
class QueueDepth:
    """How many jobs wait in the queue with this key and priority, and since when the first of them (ms)."""

    key: str
    priority: Priority
    depth: int
    oldest_at: int


def depths(connection: Connection) -> list[QueueDepth]:
    """All queues that are not empty; it reads every waiting job."""
    rows = connection.execute(_DEPTHS).all()
    return [QueueDepth(key, Priority(priority), depth, oldest) for key, priority, depth, oldest in rows]


def advance(tx: Transaction, handed_out: Sequence[QueuedJob]) -> None:
    """Advance the virtual time of each queue to the virtual starts of these jobs, which are handed out of it now."""
    times: dict[tuple[str, int], int] = {}
    for job in handed_out:
        key = job.queue_key, job.priority
        times[key] = max(times.get(key, 0), job.virtual_start)
    for (model, priority), virtual_time in sorted(times.items()):  # in order: concurrent transactions cannot deadlock
        _advance_to(tx, {"model": model, "priority": priority, "virtual_time": virtual_time, "served_at": tx.now})


def _advance_to(tx: Transaction, row: Mapping[str, str | int]) -> None:
    statement = tx.upsert(queues)
    new = statement.excluded
    later = case((queues.c.virtual_time < new.virtual_time, new.virtual_time), else_=queues.c.virtual_time)
    tx.connection.execute(
        statement.on_conflict_do_update(
            index_elements=[queues.c.model, queues.c.priority],
            set_={"virtual_time": later, "served_at": new.served_at},
        ),
        row,
    )
