"""State of the service: generated secrets, the time of the last sweep, and when each model was served."""

from collections.abc import Collection

from sqlalchemy import Connection, literal, select, union_all

from app.db.clock import now_ms
from app.db.engine import Transaction
from app.db.tables import hubs, models_served, secrets, sweeps


def secret(tx: Transaction, name: str, fresh: bytes) -> bytes:
    """The secret of that name; `fresh` is stored if there is none yet."""
    tx.connection.execute(tx.upsert(secrets).values(name=name, value=fresh, created_at=tx.now).on_conflict_do_nothing())
    return bytes(tx.connection.execute(select(secrets.c.value).where(secrets.c.name == name)).scalar_one())


def swept_within(connection: Connection, name: str, ms: int) -> bool:
    """True if the sweep of that name ran within the last `ms`."""
    # a stamp from the future was made before the clock was set back: it says nothing
    recent = select(sweeps.c.name).where(sweeps.c.name == name, sweeps.c.at.between(now_ms() - ms, now_ms()))
    return connection.execute(recent).first() is not None


def in_use(connection: Connection, ms: int) -> bool:
    """True if a web process or a sweep was here within the last `ms`."""
    since = now_ms() - ms
    seen = select(literal(1)).where(hubs.c.seen_at.between(since, now_ms()))
    swept = select(literal(1)).where(sweeps.c.at.between(since, now_ms()))
    return connection.execute(union_all(seen, swept)).first() is not None


def swept_at(connection: Connection, name: str) -> int | None:
    """When the sweep of that name ran last (ms); None if it never did."""
    return connection.execute(select(sweeps.c.at).where(sweeps.c.name == name)).scalar()


def last_sweep(tx: Transaction, name: str) -> int | None:
    """When the sweep of that name ran last (ms); stores that it runs now."""
    before = tx.connection.execute(select(sweeps.c.at).where(sweeps.c.name == name).with_for_update()).scalar()
    tx.connection.execute(
        tx.upsert(sweeps)
        .values(name=name, at=tx.now)
        .on_conflict_do_update(index_elements=["name"], set_={"at": tx.now})
    )
    return before


def write_probe(tx: Transaction) -> None:
    """Write something that nothing reads, to find out whether the database can be written."""
    row = tx.upsert(sweeps).values(name="probe", at=0)  # a time of 0 counts as no use of the database
    tx.connection.execute(row.on_conflict_do_update(index_elements=["name"], set_={"at": 0}))


def update_last_served(tx: Transaction, model: str, served_now: bool) -> int:
    """When an extension that serves `model` was last connected (ms): now, which is stored, if `served_now`.

    An unknown model counts as served now, so that its jobs get their full waiting time.
    """
    write = tx.upsert(models_served).values(model=model, served_at=tx.now)
    if served_now:
        tx.connection.execute(write.on_conflict_do_update(index_elements=["model"], set_={"served_at": tx.now}))
        return tx.now
    tx.connection.execute(write.on_conflict_do_nothing())
    query = select(models_served.c.served_at).where(models_served.c.model == model)
    return int(tx.connection.execute(query).scalar_one())


def last_served(connection: Connection, models: Collection[str]) -> dict[str, int]:
    """When an extension that serves each of these was last seen connected while jobs waited for it (ms)."""
    query = select(models_served.c.model, models_served.c.served_at).where(models_served.c.model.in_(list(models)))
    return {row.model: row.served_at for row in connection.execute(query)}
