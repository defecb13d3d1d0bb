"""What stopped being good of late: one question every other second, for all who stay on what they once came in with.

It asks as much of the database where one stays as where ten thousand do.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from app import logs
from app.db import credentials
from app.db.engine import Database
from app.domain.access import Credential, CredentialKind, Role

CHECKED_EVERY_S = 2.0
# What ended is found by the time that is written beside it. That is a little before its commit, and by another's clock.
MARGIN_S = 60.0

EXPIRED = "This token has expired."
REASONS = {
    credentials.USER: "The user is disabled.",
    CredentialKind.KEY: "This API key, or the one that the token was made from, was revoked or has expired.",
    CredentialKind.TOKEN: "The token was revoked.",
    CredentialKind.EXTENSION_TOKEN: "This token was revoked or has expired.",
}

log = logs.get(__name__)


@dataclass(eq=False, slots=True)
class Subscription:
    """Somebody who stays. At `valid_at` (s since the epoch) the credential was good; `ended` is told, once, why it is not."""

    credential: Credential
    valid_at: float
    ended: Callable[[str], object]


class RevocationWatcher:
    """Tells those who stay. Its thread begins with the first of them and ends after the last."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._subscriptions: set[Subscription] = set()
        self._lock = threading.Lock()
        self._looking = False

    def add(self, subscription: Subscription) -> None:
        """From now on, until it is removed."""
        with self._lock:
            self._subscriptions.add(subscription)
            begins, self._looking = not self._looking, True
        if begins:
            threading.Thread(target=self._run, name="revocations", daemon=True).start()

    def remove(self, subscription: Subscription) -> None:
        """Whoever stayed is gone. Twice is no error."""
        with self._lock:
            self._subscriptions.discard(subscription)

    def check(self) -> None:
        """Look once. While the database cannot be asked, whoever was let in stays until it expires."""
        with self._lock:
            subscriptions = list(self._subscriptions)
        now = time.time()
        for subscription in subscriptions:
            if subscription.credential.expires_at is not None and subscription.credential.expires_at <= now * 1000:
                self._end(subscription, EXPIRED)
        valid_at = min((subscription.valid_at for subscription in subscriptions), default=now)
        window_ms = round(1000 * (max(0.0, now - valid_at) + MARGIN_S))
        ended = self._database.read(lambda c: credentials.ended_within(c, window_ms))
        for subscription in subscriptions:
            subscription.valid_at = now
            for name in _names(subscription.credential) if ended else ():
                if name in ended:
                    self._end(subscription, REASONS[name[0]])
                    break

    def _end(self, subscription: Subscription, reason: str) -> None:
        with self._lock:
            stayed = subscription in self._subscriptions
            self._subscriptions.discard(subscription)
        if stayed:
            subscription.ended(reason)

    def _run(self) -> None:
        while self._anybody_after_a_pause():
            try:
                self.check()
            except Exception as problem:  # noqa: BLE001 - whatever it was, who stays is to be looked at again
                log.warning("What ended could not be seen", action="access.unchecked", problem=str(problem))

    def _anybody_after_a_pause(self) -> bool:
        time.sleep(CHECKED_EVERY_S)
        with self._lock:
            self._looking = bool(self._subscriptions)
            return self._looking


def _names(credential: Credential) -> list[tuple[str, str]]:
    """Everything whose end is the end of the credential. A disabled user's is, whoever has signed it."""
    names: list[tuple[str, str]] = [(credential.kind, credential.id)]
    if credential.key_id is not None:
        names.append((CredentialKind.KEY, credential.key_id))
    if credential.role is not Role.EXTENSION:
        names.append((credentials.USER, credential.subject))
    return names
