"""Watches the credentials of open connections with one query every other second.

The cost for the database does not depend on the number of connections.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from app import logs
from app.db import credentials
from app.db.engine import Database
from app.domain.access import Credential, CredentialKind, Role

CHECKED_EVERY_S = 2.0
# Revocations are found by their stored time, which is a little before the commit and comes from another clock.
MARGIN_S = 60.0

EXPIRED = "This token has expired."
REASONS = {
    credentials.USER: "The user is disabled.",
    CredentialKind.KEY: "This API key, or the one that the token was made from, was revoked or has expired.",
    CredentialKind.TOKEN: "The token was revoked.",
    CredentialKind.EXTENSION_TOKEN: "This token was revoked or has expired.",
}

log = logs.get(__name__)


@dataclass(frozen=True, slots=True)
class Moment:
    """A moment by two clocks: one can be set back, and the other may stand still while the machine sleeps."""

    wall_s: float = field(default_factory=time.time)
    monotonic_s: float = field(default_factory=time.monotonic)

    def age_s(self) -> float:
        """How many seconds ago it was, by the clock that says more."""
        return max(time.time() - self.wall_s, time.monotonic() - self.monotonic_s)


@dataclass(eq=False, slots=True)
class Subscription:
    """An open connection. Its credential was valid at `valid_at`; `ended` is called once with the reason."""

    credential: Credential
    valid_at: Moment
    ended: Callable[[str], object]


class RevocationWatcher:
    """Notifies subscribers. Its thread runs while there are any."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._subscriptions: set[Subscription] = set()
        self._lock = threading.Lock()
        self._running = False

    def add(self, subscription: Subscription) -> None:
        """Watch this credential until it is removed."""
        with self._lock:
            self._subscriptions.add(subscription)
            begins, self._running = not self._running, True
        if begins:
            threading.Thread(target=self._run, name="revocations", daemon=True).start()

    def remove(self, subscription: Subscription) -> None:
        """Stop watching. Idempotent."""
        with self._lock:
            self._subscriptions.discard(subscription)

    def check(self) -> None:
        """Check all subscriptions once. If the database cannot be reached, only expiry is noticed."""
        with self._lock:
            subscriptions = list(self._subscriptions)
        now = Moment()
        for subscription in subscriptions:
            expires_at = subscription.credential.expires_at
            if expires_at is not None and expires_at <= now.wall_s * 1000:
                self._end(subscription, EXPIRED)
        unchecked_s = max((subscription.valid_at.age_s() for subscription in subscriptions), default=0.0)
        window_ms = round(1000 * (unchecked_s + MARGIN_S))
        ended = self._database.read(lambda c: credentials.ended_within(c, window_ms))
        for subscription in subscriptions:
            subscription.valid_at = now
            for name in _names(subscription.credential) if ended else ():
                if name in ended:
                    self._end(subscription, REASONS[name[0]])
                    break

    def _end(self, subscription: Subscription, reason: str) -> None:
        with self._lock:
            subscribed = subscription in self._subscriptions
            self._subscriptions.discard(subscription)
        if subscribed:
            subscription.ended(reason)

    def _run(self) -> None:
        while self._wait():
            try:
                self.check()
            except Exception as problem:  # noqa: BLE001 - the thread must go on
                log.warning("Revocations could not be checked", action="access.unchecked", problem=str(problem))

    def _wait(self) -> bool:
        """Sleep until the next check; False if there are no subscriptions left."""
        time.sleep(CHECKED_EVERY_S)
        with self._lock:
            self._running = bool(self._subscriptions)
            return self._running


def _names(credential: Credential) -> list[tuple[str, str]]:
    """Everything whose revocation ends the credential: itself, its API key, its user, also with another issuer, and all that its
    user had when the account was deleted."""
    names: list[tuple[str, str]] = [(credential.kind, credential.id)]
    if credential.key_id is not None:
        names.append((CredentialKind.KEY, credential.key_id))
    if credential.role is not Role.EXTENSION:
        names.append((credentials.USER, credential.subject))
        names.append((CredentialKind.TOKEN, credentials.everything_of(credential.subject)))
    return names
