"""Whether what somebody came in with is still good, for as long as they stay: a socket, a stream, an answer that is held."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from app.domain.access import Credential
from app.domain.errors import Unauthorized
from app.services.access import Access
from app.services.revocation import Subscription
from app.services.watching import Watch


class CredentialStatus:
    """Looks after one credential, found good just now; without one, nobody had to show any and nothing ends."""

    def __init__(self, access: Access | None = None, credential: Credential | None = None) -> None:
        self._access = access
        self._credential = credential
        self._valid_at = time.time()
        self._ended: str | None = None

    @contextmanager
    def monitored(self, end: Callable[[], object]) -> Iterator[None]:
        """While inside, `end` is called, once and within seconds, where the credential expires or is revoked; then see `check`."""
        if self._access is None or self._credential is None:
            yield
            return

        def ended(reason: str) -> None:
            self._ended = reason
            end()

        subscription = Subscription(self._credential, self._valid_at, ended)
        self._access.revocations.add(subscription)
        try:
            yield
        finally:
            self._access.revocations.remove(subscription)
            self._valid_at = subscription.valid_at

    def check(self) -> None:
        """Raises Unauthorized once it is known to have ended. It asks nobody."""
        if self._ended is not None:
            raise Unauthorized(self._ended, shown=True)

    def wait(self, watch: Watch, timeout_s: float) -> Mapping[str, Any] | None:
        """As `watch.wait`. Raises Unauthorized, within seconds, once the watcher may not hear of it any more."""
        with self.monitored(watch.end):
            change = watch.wait(timeout_s)
        self.check()
        return change


NO_CREDENTIAL = CredentialStatus()
