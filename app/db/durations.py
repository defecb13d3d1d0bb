"""How long extensions took for the last pictures of a model, and how many were made lately."""

from sqlalchemy import Connection, Integer, bindparam, func, literal_column, select

from app.db.tables import MEASURED, Ms, jobs, model_key
from app.domain.eta import Durations

LAST = 50
MODELS = 1_000  # that are counted

_MEASURED = (
    select(jobs.c.generated_at - jobs.c.started_at, jobs.c.user_id)
    .where(MEASURED, model_key == bindparam("model"))
    .order_by(jobs.c.finished_at.desc())
    .limit(literal_column(str(LAST), Integer))
)

# one index lookup for each model (a loose index scan)
_models = select(func.min(model_key).label("model")).where(MEASURED).cte("completed_models", recursive=True)
_models = _models.union_all(
    select(
        select(func.min(model_key)).where(MEASURED, model_key > _models.c.model).correlate(_models).scalar_subquery()
    ).where(_models.c.model.is_not(None))
)
_lately = (
    select(func.count())
    .where(MEASURED, model_key == _models.c.model, jobs.c.finished_at > bindparam("since", type_=Ms))
    .correlate(_models)
    .scalar_subquery()
)
_COMPLETED = (
    select(_models.c.model, _lately).where(_models.c.model.is_not(None)).limit(literal_column(str(MODELS), Integer))
)


def completed_since(connection: Connection, since_ms: int) -> dict[str, int]:
    """How many requests for each model (in lower case) were completed after `since_ms`, where there were any."""
    rows = connection.execute(_COMPLETED, {"since": since_ms})
    return {model: count for model, count in rows if count}


def measured(connection: Connection, model: str) -> Durations | None:
    """The durations of the last attempts of the last pictures that were made for `model` (in lower case); None without any."""
    rows = connection.execute(_MEASURED, {"model": model}).all()
    # the clock may have been set back meanwhile
    return Durations.of(
        [took_ms for took_ms, _ in rows if took_ms is not None and took_ms >= 0], len({user for _, user in rows})
    )
