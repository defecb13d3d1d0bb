"""The fleet: the known extensions and their connections to web processes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Integer,
    Text,
    bindparam,
    case,
    cast,
    delete,
    func,
    literal_column,
    select,
    union,
    update,
)

from app.db import jobs, json_values, leases, slots
from app.db.clock import now_ms
from app.db.engine import Transaction
from app.db.tables import extensions, hubs
from app.domain.errors import Unauthorized
from app.domain.messages import Authenticate
from app.domain.policy import FleetGroup

# How often an extension's own word ends its pause: one that called each of its failures repaired would never be paused.
REPAIR_EVERY_MS = 60_000
MOST_RESTING = 200  # whose reasons are read

# Parameters cannot be called `connection_id` and `available`: an UPDATE would set the columns of these names to them.
_through_connection = (extensions.c.connection_id == bindparam("this_connection"), extensions.c.connected)
_STATE = select(
    extensions.c.available,
    leases.HAS_WORK.label("has_work"),
    # a scalar subquery, since within EXISTS PostgreSQL ignores the order that keeps it to the index of the queue
    jobs.FIRST_WAITING.scalar_subquery().is_not(None).label("any_job_waits"),
    case((extensions.c.cooldown_until > now_ms(), extensions.c.cooldown_until), else_=0).label("cooldown_until"),
    extensions.c.cooldown_reason,
).where(*_through_connection)
_HEARTBEAT = (
    update(extensions).where(*_through_connection).values(heard_at=now_ms(), available=bindparam("is_available"))
)
_LAST_SEEN = (
    update(extensions)
    .where(*_through_connection, extensions.c.heard_at < bindparam("at"))
    .values(heard_at=bindparam("at"))
)


def _connected_until(at: ColumnElement[int] | int) -> ColumnElement[int]:
    """For how long an extension was connected in all, if its connection ends `at`. A clock that was set back counts nothing."""
    lasted = extensions.c.connected & (extensions.c.connected_at < at)
    return extensions.c.connected_ms + case((lasted, at - extensions.c.connected_at), else_=0)


_DISCONNECT = (
    update(extensions)
    .where(*_through_connection)
    .values(connected=False, disconnected_at=now_ms(), connected_ms=_connected_until(now_ms()))
)
_SOCKET_OF = select(extensions.c.hub_id, extensions.c.connection_id).where(
    extensions.c.id == bindparam("extension_id"), extensions.c.connected
)
_capabilities = cast(extensions.c.capabilities, Text)  # as text, which PostgreSQL can compare
_accepting = extensions.c.available & ~slots.PAUSED
_ready = _accepting & (extensions.c.cooldown_until <= now_ms())
_resting = _accepting & (extensions.c.cooldown_until > now_ms())
_busy = case((extensions.c.held < slots.CAPACITY, extensions.c.held), else_=slots.CAPACITY)


def _total(condition: ColumnElement[bool], value: ColumnElement[int] | int = 1) -> ColumnElement[int]:
    return func.sum(case((condition, value), else_=0))


_GROUPS = (
    select(
        _capabilities,
        func.count(),
        _total(extensions.c.available),
        _total(extensions.c.available & slots.PAUSED),
        _total(_ready),
        _total(_ready, slots.CAPACITY),
        _total(_ready, _busy),
        func.min(case((_resting, extensions.c.cooldown_until))),
    )
    .where(extensions.c.connected)
    .group_by(_capabilities)
)
_RESTING = (
    select(_capabilities, extensions.c.cooldown_reason)
    .where(extensions.c.connected, _resting)
    .order_by(extensions.c.cooldown_until)
    .limit(literal_column(str(MOST_RESTING), Integer))
)
_SUCCEEDED = (
    update(extensions).where(extensions.c.id == bindparam("extension_id")).values(last_success_at=now_ms(), failures=0)
)


@dataclass(frozen=True, slots=True)
class Socket:
    """The address of an extension: its web process and its connection there."""

    hub_id: str
    connection_id: str


@dataclass(frozen=True, slots=True)
class ExtensionState:
    """The stored state that a heartbeat is compared with. `cooldown_until` is the end of its pause in ms, 0 for none."""

    available: bool
    has_work: bool
    any_job_waits: bool
    cooldown_until: int
    cooldown_reason: str | None


def connect(tx: Transaction, hello: Authenticate, socket: Socket, token_id: str | None = None) -> Socket | None:
    """Connect the extension through `socket`; returns its previous socket if that was still connected.

    If its capabilities have changed, or it says that it has removed the cause of its failures, its pause ends.
    Raises Unauthorized if that one used another token than `token_id`.
    """
    names = ("connected", "hub_id", "connection_id", "token_id", "capabilities", "connected_at")
    query = select(*(extensions.c[name] for name in names))
    before = tx.connection.execute(query.where(extensions.c.id == hello.extension_id).with_for_update()).first()
    if before and before.connected and before.token_id not in (None, token_id):
        raise Unauthorized("This extension is connected with another token; that connection stays open.")
    values = {
        "hub_id": socket.hub_id,
        "connection_id": socket.connection_id,
        "token_id": token_id,
        "connected": True,
        "available": hello.metadata.available,
        "capabilities": list(hello.metadata.capabilities),
        "max_concurrent": hello.metadata.max_concurrent,
        "version": hello.metadata.version,
        "connected_at": tx.now,
        "heard_at": tx.now,
        "disconnected_at": None,
    }
    known = {**values, "connected_ms": _connected_until(tx.now)}
    tx.connection.execute(
        tx.upsert(extensions)
        .values(id=hello.extension_id, observed_since=tx.now, **values)
        .on_conflict_do_update(index_elements=["id"], set_=known)
    )
    if before and (hello.metadata.repaired or set(before.capabilities) != set(hello.metadata.capabilities)):
        _end_pause_by(tx, hello.extension_id, before.connected_at + REPAIR_EVERY_MS)
    return Socket(before.hub_id, before.connection_id) if before and before.connected else None


def state_of(connection: Connection, extension_id: str, connection_id: str) -> ExtensionState | None:
    """The state of the extension; None if it is not connected through this connection (any more)."""
    row = connection.execute(_STATE, {"extension_id": extension_id, "this_connection": connection_id}).first()
    return None if row is None else ExtensionState(*row)


def heartbeat(tx: Transaction, connection_id: str, available: bool) -> bool:
    """Store a heartbeat; False if the extension is not connected through this connection (any more)."""
    return (
        tx.connection.execute(_HEARTBEAT, {"this_connection": connection_id, "is_available": available}).rowcount == 1
    )


def record_last_seen(tx: Transaction, ms_ago: Mapping[str, int]) -> None:
    """Store how many ms ago each connection sent its last heartbeat; later times in the database are kept."""
    tx.connection.execute(_LAST_SEEN, [{"this_connection": each, "at": tx.now - ago} for each, ago in ms_ago.items()])


def disconnect(tx: Transaction, connection_id: str) -> bool:
    """The connection is closed; False if the extension has another one by now."""
    return tx.connection.execute(_DISCONNECT, {"this_connection": connection_id}).rowcount == 1


def socket_of(connection: Connection, extension_id: str) -> Socket | None:
    """The extension's socket; None if it is not connected."""
    row = connection.execute(_SOCKET_OF, {"extension_id": extension_id}).first()
    return None if row is None else Socket(*row)


def succeeded(tx: Transaction, extension_id: str) -> None:
    """A picture of the extension was stored. It does not end a pause: a later job may have caused it."""
    tx.connection.execute(_SUCCEEDED, {"extension_id": extension_id})


def failures(connection: Connection, extension_id: str) -> int:
    query = select(extensions.c.failures).where(extensions.c.id == extension_id)
    return connection.execute(query).scalar() or 0


def cool_down(tx: Transaction, extension_id: str, pause_ms: int, reason: str) -> None:
    """Count a failure of the extension, and give it no work for `pause_ms`."""
    tx.connection.execute(
        update(extensions)
        .where(extensions.c.id == extension_id)
        .values(failures=extensions.c.failures + 1, **_pause(tx, pause_ms, reason))
    )


def pause(tx: Transaction, connection_id: str | None, pause_ms: int, reason: str) -> None:
    """Give the extension on this connection no work for `pause_ms`, without counting a failure."""
    tx.connection.execute(
        update(extensions).where(extensions.c.connection_id == connection_id).values(**_pause(tx, pause_ms, reason))
    )


def end_pause(tx: Transaction, extension_id: str) -> bool:
    """End the extension's pause; False if it is not paused. Its failures are forgotten in either case."""
    this = extensions.c.id == extension_id
    paused = tx.connection.execute(select(extensions.c.cooldown_until > tx.now).where(this)).scalar()
    values = {"cooldown_until": 0, "cooldown_reason": None, "failures": 0}
    tx.connection.execute(update(extensions).where(this).values(values))
    return bool(paused)


def is_known(connection: Connection, extension_id: str) -> bool:
    """True if the extension has ever connected."""
    return connection.execute(select(extensions.c.id).where(extensions.c.id == extension_id)).first() is not None


def capabilities_since(connection: Connection, ms: int) -> list[Sequence[str]]:
    """The capabilities of the extensions that are connected, or were within the last `ms`; equal ones once."""
    recent = extensions.c.connected | (extensions.c.disconnected_at > now_ms() - ms)
    # reading the same list ten thousand times would take ten times as long
    distinct = select(_capabilities).where(recent).distinct()
    return [json_values.read(capabilities) for capabilities in connection.execute(distinct).scalars()]


def groups(connection: Connection) -> list[FleetGroup]:
    """The connected extensions by their capabilities."""
    rows = connection.execute(_GROUPS).all()
    reasons: dict[str, str | None] = {}
    if any(row[-1] for row in rows):
        for capabilities, reason in connection.execute(_RESTING):
            reasons.setdefault(capabilities, reason)
    return [_group(row, reasons.get(row[0])) for row in rows]


def _group(row: Sequence[Any], cooldown_reason: str | None) -> FleetGroup:
    capabilities, connected, accepting, paused, ready, slots_of_ready, busy, cooldown_until = row
    return FleetGroup(
        capabilities=tuple(json_values.read(capabilities)),
        connected=connected,
        accepting=accepting,
        paused=paused,
        ready=ready,
        slots=slots_of_ready,
        busy=busy,
        cooldown_until=cooldown_until,
        cooldown_reason=cooldown_reason,
    )


def count_connected(connection: Connection, hub_timeout_ms: int) -> int:
    """How many extensions are connected, over all live web processes."""
    alive = select(hubs.c.id).where(hubs.c.seen_at > now_ms() - hub_timeout_ms)
    query = select(func.count()).where(extensions.c.connected, extensions.c.hub_id.in_(alive))
    return connection.execute(query).scalar_one()


def addresses(connection: Connection, hub_timeout_ms: int) -> list[str]:
    """The addresses of the live web processes, each once, in order."""
    alive = (hubs.c.seen_at > now_ms() - hub_timeout_ms, hubs.c.address.is_not(None))
    return list(connection.execute(select(hubs.c.address).where(*alive).distinct().order_by(hubs.c.address)).scalars())


def touch_hub(tx: Transaction, hub_id: str, address: str) -> bool:
    """Store that the web process is alive and where clients reach it; False if it was unknown."""
    updated = tx.connection.execute(update(hubs).where(hubs.c.id == hub_id).values(seen_at=tx.now))
    if updated.rowcount == 0:
        tx.connection.execute(
            tx.upsert(hubs).values(id=hub_id, seen_at=tx.now, address=address).on_conflict_do_nothing()
        )
    return updated.rowcount == 1


def touch_all_hubs(tx: Transaction) -> None:
    """Set every web process to seen now; dead ones will be noticed after the usual timeout."""
    tx.connection.execute(update(hubs).where(hubs.c.seen_at < tx.now).values(seen_at=tx.now))


def hubs_lost(connection: Connection, hub_timeout_ms: int) -> list[str]:
    """Web processes not seen for `hub_timeout_ms`, including those that died before their first heartbeat."""
    long_ago = now_ms() - hub_timeout_ms
    silent = select(hubs.c.id).where(hubs.c.seen_at <= long_ago)
    never_seen = select(extensions.c.hub_id).where(
        extensions.c.connected, extensions.c.connected_at <= long_ago, extensions.c.hub_id.not_in(select(hubs.c.id))
    )
    return list(connection.execute(union(silent, never_seen)).scalars())


def forget_hub(tx: Transaction, hub_id: str) -> list[str]:
    """Remove a dead web process and disconnect its extensions; returns the ids of their connections."""
    query = select(extensions.c.connection_id).where(extensions.c.hub_id == hub_id, extensions.c.connected)
    lost = list(tx.connection.execute(query).scalars())
    tx.connection.execute(
        update(extensions)
        .where(extensions.c.hub_id == hub_id, extensions.c.connected)
        .values(connected=False, disconnected_at=tx.now, connected_ms=_connected_until(tx.now))
    )
    tx.connection.execute(delete(hubs).where(hubs.c.id == hub_id))
    return lost


def _end_pause_by(tx: Transaction, extension_id: str, ms: int) -> None:
    """End the extension's pause at `ms` at the latest. Only a stored picture proves that its failures are over."""
    longer = (extensions.c.id == extension_id, extensions.c.cooldown_until > ms)
    tx.connection.execute(update(extensions).where(*longer).values(cooldown_until=ms))


def _pause(tx: Transaction, pause_ms: int, reason: str) -> dict[str, Any]:
    until = tx.now + pause_ms
    later = case((extensions.c.cooldown_until > until, extensions.c.cooldown_until), else_=until)
    return {"cooldown_until": later, "cooldown_reason": reason[:400]}
