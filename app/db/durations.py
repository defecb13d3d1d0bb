"""How long extensions took for the last pictures of a model."""

from sqlalchemy import Connection, Integer, bindparam, literal_column, select

from app.db.tables import MEASURED, jobs, model_key
from app.domain.eta import Durations

LAST = 50

_MEASURED = (
    select(jobs.c.generated_at - jobs.c.started_at, jobs.c.user_id)
    .where(MEASURED, model_key == bindparam("model"))
    .order_by(jobs.c.finished_at.desc())
    .limit(literal_column(str(LAST), Integer))
)


def measured(connection: Connection, model: str) -> Durations | None:
    """The durations of the last attempts of the last pictures that were made for `model` (in lower case); None without any."""
    rows = connection.execute(_MEASURED, {"model": model}).all()
    # the clock may have been set back meanwhile
    return Durations.of(
        [took_ms for took_ms, _ in rows if took_ms is not None and took_ms >= 0], len({user for _, user in rows})
    )
