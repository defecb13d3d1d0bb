"""Submissions that are sent again with the same Idempotency-Key: they are done once, and answered alike.

The entry point makes a KeyedRequest, holds it with `Idempotency.one_at_a_time`, and passes it to the service. That calls
`claim` at the beginning of its transaction and `keep` at its end; both do nothing for None, a request without a key. What
is refused or fails rolls back, so its key stays free.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from app.db import idempotency
from app.db.engine import Transaction
from app.db.idempotency import StoredAnswer
from app.domain.errors import IdempotencyKeyReused
from app.domain.idempotency import OwnedKey
from app.services.ports import Ports

LOCKS = 256  # two keys may share a lock, which does no harm

Result = TypeVar("Result")


class AlreadyAnswered(Exception):
    """The same request was answered before; `answer` is to be sent again."""

    def __init__(self, answer: StoredAnswer) -> None:
        super().__init__("This request was answered before.")
        self.answer = answer


@dataclass(frozen=True, slots=True)
class KeyedRequest(Generic[Result]):
    """A submission with an Idempotency-Key.

    `render` makes the answer's body from the result of the submission, inside its transaction: the body contains only
    what is known then. `lifetime_ms` is how long the key is kept; None is as long as what it made.
    """

    key: OwnedKey
    body_hash: str
    render: Callable[[Result], str]
    lifetime_ms: int | None
    status: int = 200

    def check(self, stored: StoredAnswer | None) -> None:
        """Raises AlreadyAnswered, or IdempotencyKeyReused if the answer was to another body."""
        if stored is None:
            return
        if stored.body_hash != self.body_hash:
            raise IdempotencyKeyReused
        raise AlreadyAnswered(stored)

    def claim(self, tx: Transaction) -> None:
        """Take the key for this transaction. Raises AlreadyAnswered, IdempotencyKeyReused."""
        while not idempotency.claim(tx, self.key, self.body_hash, self.lifetime_ms):
            # None if it has expired since
            self.check(idempotency.find(tx.connection, self.key))


class Idempotency:
    """Finds the requests that were answered before, ahead of all limits."""

    def __init__(self, ports: Ports) -> None:
        self._database = ports.database
        self._locks = [threading.Lock() for _ in range(LOCKS)]

    @contextmanager
    def one_at_a_time(self, request: KeyedRequest[Any]) -> Iterator[None]:
        """Hold the key in this process, so that of many copies one counts against the limits.

        Raises AlreadyAnswered, IdempotencyKeyReused. A copy in another process is decided by `claim`.
        """
        with self._locks[hash(request.key) % LOCKS]:
            request.check(self._database.read(lambda c: idempotency.find(c, request.key)))
            yield


def claim(tx: Transaction, request: KeyedRequest[Any] | None) -> None:
    """Begin what the request submits, if nobody else has. Raises AlreadyAnswered, IdempotencyKeyReused."""
    if request is not None:
        request.claim(tx)


def keep(tx: Transaction, request: KeyedRequest[Result] | None, result: Result, result_id: str) -> None:
    """Keep the answer to what the request has submitted; `result_id` names the request or batch."""
    if request is not None:
        idempotency.keep(tx, request.key, request.status, request.render(result), result_id)
