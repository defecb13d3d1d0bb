"""Clients that repeat a call by themselves and send no Idempotency-Key: a repeat joins the request that the call made.

Each call keeps, for a short time, which request it made of which body. A first call always makes a request, and what is kept
is then that one. A repeat of the same body joins it while it is open; otherwise it makes a request itself.
"""

from dataclasses import dataclass

from sqlalchemy import Connection

from app.db import idempotency, jobs
from app.db.engine import Transaction
from app.db.jobs import Job
from app.domain.idempotency import OwnedKey
from app.domain.states import OPEN
from app.services.idempotency import KeyedRequest
from app.services.lookup import JobDetails
from app.services.ports import Ports


class Joined(Exception):
    """The call is a repeat of the one that made this request."""

    def __init__(self, request_id: str) -> None:
        super().__init__(request_id)
        self.request_id = request_id


@dataclass(frozen=True, slots=True)
class RepeatableCall(KeyedRequest[JobDetails[Job]]):
    """A call whose `key` is made from its body. `repeat` is whether its client says that it has made it before."""

    repeat: bool = False

    @classmethod
    def of(cls, owner: str, operation: str, body_hash: str, lifetime_ms: int, *, repeat: bool) -> "RepeatableCall":
        """The call of this user with this body."""
        return cls(
            OwnedKey(owner, operation, body_hash), body_hash, lambda made: made.job.id, lifetime_ms, repeat=repeat
        )

    def claim(self, tx: Transaction) -> None:
        """Keep what this transaction makes. Raises Joined if the call is a repeat of one whose request is open.

        Of several repeats at the same time one makes a request, and the others join it.
        """
        while not idempotency.claim(tx, self.key, self.body_hash, self.lifetime_ms):
            made = idempotency.result_of(tx.connection, self.key)
            if made is None:
                continue
            if self.repeat and _is_open(tx.connection, made):
                raise Joined(made)
            if idempotency.take_over(tx, self.key, made, self.lifetime_ms):
                return


class Repeats:
    """Finds what repeats repeat, ahead of all limits."""

    def __init__(self, ports: Ports) -> None:
        self._database = ports.database

    def check(self, call: RepeatableCall) -> None:
        """Raises Joined, as `RepeatableCall.claim`."""
        if not call.repeat:
            return
        made = self._database.read(lambda c: _open_result(c, call))
        if made is not None:
            raise Joined(made)


def _open_result(connection: Connection, call: RepeatableCall) -> str | None:
    made = idempotency.result_of(connection, call.key)
    return made if made is not None and _is_open(connection, made) else None


def _is_open(connection: Connection, request_id: str) -> bool:
    job = jobs.find_summary(connection, request_id)
    return job is not None and job.status in OPEN
