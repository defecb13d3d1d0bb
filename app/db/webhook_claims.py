"""Which delivery a worker sends next, and what became of it.

Receivers share the workers by host: the host with the fewest running deliveries is next. A host that does not answer has one at a time,
and all of those together no more than their share, so that those that answer do not wait for those that hang.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, Integer, bindparam, exists, func, literal_column, or_, select, update

from app.db.clock import statement_now_ms
from app.db.engine import Transaction
from app.db.webhook_tables import CLAIMED, LATEST, PENDING, SILENT, webhook_deliveries, webhook_endpoints
from app.domain.webhooks import HELD_FOR, WebhookEvent

MOST_HOSTS = 500  # of those that something is sent to; the others follow when these have been served
_C = webhook_deliveries.c
_E = webhook_endpoints.c
NOW = statement_now_ms()
_ONE = literal_column("1", Integer)


class Claim(NamedTuple):
    """A delivery that this process sends, with the webhook it goes to and the row whose secret signs it."""

    id: int
    endpoint_id: str
    subject_id: str | None
    event_id: str
    type: WebhookEvent
    sequence: int
    occurred_at: int
    snapshot: Mapping[str, Any]
    attempts: int
    lease: str
    url: str
    failing_since: int | None
    silent_since: int | None
    signer_id: str
    secret_number: int
    previous_until: int | None
    key_fingerprint: str

    @property
    def is_replaceable(self) -> bool:
        """True for progress."""
        return self.type in {WebhookEvent.PROGRESS, WebhookEvent.BATCH_PROGRESS}


class Host(NamedTuple):
    """A host that something is due for: how many deliveries to it run, and whether it did not answer lately."""

    name: str
    due_at: int
    is_due: bool
    running: int
    silent: bool


class Outcome(NamedTuple):
    """What became of an attempt."""

    duration_ms: int
    response_status: int | None = None
    response_body: str | None = None
    error: str | None = None


# one index lookup for each host (a loose index scan)
_hosts = select(func.min(_C.host).label("host")).where(PENDING).cte("hosts", recursive=True)
_hosts = _hosts.union_all(
    select(select(func.min(_C.host)).where(PENDING, _C.host > _hosts.c.host).correlate(_hosts).scalar_subquery()).where(
        _hosts.c.host.is_not(None)
    )
)
_due = select(func.min(_C.due_at)).where(PENDING, _C.host == _hosts.c.host).correlate(_hosts).scalar_subquery()
_running = (
    select(func.count()).where(CLAIMED, _C.host == _hosts.c.host, _C.due_at > NOW).correlate(_hosts).scalar_subquery()
)
_silent = exists().where(SILENT, _E.host == _hosts.c.host).correlate(_hosts)
_HOSTS = (
    select(_hosts.c.host, _due, _due <= NOW, _running, _silent)
    .where(_hosts.c.host.is_not(None))
    .limit(literal_column(str(MOST_HOSTS), Integer))
)
_ANY_DUE = select(_ONE).where(PENDING, _C.due_at <= NOW).limit(_ONE)
# Events of one request are sent in order, but none waits for more than `HELD_FOR` attempts of an earlier one.
_earlier = webhook_deliveries.alias("earlier")
_held_back = (
    exists()
    .where(
        _earlier.c.status == literal_column("'pending'"),
        _earlier.c.endpoint_id == _C.endpoint_id,
        _earlier.c.subject_id == _C.subject_id,
        _earlier.c.sequence < _C.sequence,
        or_(
            _earlier.c.attempts < HELD_FOR,
            (_earlier.c.attempts == HELD_FOR) & _earlier.c.lease.is_not(None),
        ),
    )
    .correlate(webhook_deliveries)
)
_first = (
    select(_C.id)
    .where(PENDING, _C.host == bindparam("of_host"), _C.due_at <= NOW, ~_held_back)
    .order_by(_C.due_at, _C.id)
    .limit(_ONE)
    .with_for_update(skip_locked=True)
)
_claimed = (
    update(webhook_deliveries)
    .where(_C.id == _first.correlate(None).scalar_subquery(), PENDING, _C.due_at <= NOW)
    .values(
        lease=bindparam("new_lease"),
        attempts=_C.attempts + 1,
        due_at=NOW + bindparam("claim_ms", type_=Integer),
        attempted_at=NOW,
    )
)
_CLAIM = _claimed.returning(*(_C[name] for name in Claim._fields[:10]))
_signer = webhook_endpoints.alias("signer")
_ENDPOINT = select(
    _E.url,
    _E.failing_since,
    _E.silent_since,
    *(_signer.c[name] for name in ("id", "secret_number", "previous_until", "key_fingerprint")),
).where(_E.id == bindparam("endpoint_id"), _signer.c.id == _E.signer_id)
_mine = (_C.id == bindparam("claimed_id"), _C.lease == bindparam("my_lease"))
_same = (*_mine, _C.event_id == bindparam("my_event"))
# made once: SQLAlchemy would take as long to make it anew as the database to execute it
_OUTCOME = {name: bindparam(f"new_{name}", type_=_C[name].type) for name in Outcome._fields}
_FINISH = update(webhook_deliveries).where(*_same)
_FINISH = _FINISH.values(**_OUTCOME, status=bindparam("new_status"), lease=None, finished_at=NOW)
_POSTPONE = update(webhook_deliveries).where(*_mine)
_POSTPONE = _POSTPONE.values(**_OUTCOME, lease=None, due_at=NOW + bindparam("pause_ms", type_=Integer))


def any_due(connection: Connection) -> bool:
    """True if something is due, or is held back until an earlier event was sent."""
    return connection.execute(_ANY_DUE).first() is not None


def hosts(connection: Connection) -> list[Host]:
    """The hosts that something is pending for."""
    return [Host(*row) for row in connection.execute(_HOSTS)]


def in_turn(found: Sequence[Host], per_host: int, silent_share: int) -> list[str]:
    """The hosts that may be sent something now, the one whose turn it is first."""
    room = silent_share - sum(host.running for host in found if host.silent)
    may = [
        host
        for host in found
        if host.is_due and (room > 0 and not host.running if host.silent else host.running < per_host)
    ]
    return [host.name for host in sorted(may, key=lambda host: (host.running, host.due_at))]


def claim(tx: Transaction, host: str, lease: str, claim_ms: int) -> Claim | None:
    """Claim the first delivery to the host that is due; None if there is none.

    Concurrent transactions skip it and find the next one.
    """
    row = tx.connection.execute(_CLAIM, {"of_host": host, "new_lease": lease, "claim_ms": claim_ms}).first()
    if row is None:
        return None
    endpoint = tx.connection.execute(_ENDPOINT, {"endpoint_id": row.endpoint_id}).one()
    return Claim(*row, *endpoint)._replace(type=WebhookEvent(row.type))


def finish(tx: Transaction, claim: Claim, status: str, outcome: Outcome) -> bool:
    """The delivery is over, unless newer progress took its row meanwhile; False if the claim was lost."""
    values = {**_this(claim), **_new(outcome), "my_event": claim.event_id, "new_status": status}
    if tx.connection.execute(_FINISH, values).rowcount == 1:
        return True
    return claim.is_replaceable and postpone(tx, claim, 1_000, outcome)


def postpone(tx: Transaction, claim: Claim, pause_ms: int, outcome: Outcome) -> bool:
    """Another attempt is due after the pause; False if the claim was lost."""
    values = {**_this(claim), **_new(outcome), "pause_ms": pause_ms}
    return tx.connection.execute(_POSTPONE, values).rowcount == 1


_later = (
    PENDING,
    _C.endpoint_id == bindparam("of_endpoint"),
    _C.subject_id == bindparam("of_subject"),
    _C.sequence > bindparam("after"),
)
_POSTPONE_LATER = update(webhook_deliveries).where(*_later, _C.lease.is_(None), _C.due_at < NOW + bindparam("pause_ms"))
_ANY_LATER = select(_ONE).where(
    _C.endpoint_id == bindparam("of_endpoint"),
    _C.subject_id == bindparam("of_subject"),
    PENDING,
    ~LATEST,
    _C.sequence > bindparam("after"),
)


def postpone_later(tx: Transaction, claim: Claim, pause_ms: int) -> None:
    """The later events of the same request are held back as long: they need not be looked at before."""
    values = {**_subject(claim), "pause_ms": pause_ms}
    tx.connection.execute(_POSTPONE_LATER.values(due_at=NOW + bindparam("pause_ms", type_=Integer)), values)


def has_later(tx: Transaction, claim: Claim) -> bool:
    """True if a later event of the same request waits for this one."""
    return tx.connection.execute(_ANY_LATER.limit(_ONE), _subject(claim)).first() is not None


def _this(claim: Claim) -> dict[str, Any]:
    return {"claimed_id": claim.id, "my_lease": claim.lease}


def _new(outcome: Outcome) -> dict[str, Any]:
    return {f"new_{name}": value for name, value in outcome._asdict().items()}


def _subject(claim: Claim) -> dict[str, Any]:
    return {"of_endpoint": claim.endpoint_id, "of_subject": claim.subject_id, "after": claim.sequence}
