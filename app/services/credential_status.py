"""Whether the credential of a long-lived connection is still valid: a socket, a stream, a long poll."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from app.domain.access import Credential
from app.domain.errors import Unauthorized
from app.services.access import Access
from app.services.revocation import Moment, Subscription
from app.services.watching import Watch


class CredentialStatus:
    """Monitors one credential that was just accepted. Without a credential it never ends."""

    def __init__(self, access: Access | None = None, credential: Credential | None = None) -> None:
        self._access = access
        self._credential = credential
        self._valid_at = Moment()
        self._ended: str | None = None

    @contextmanager
    def monitored(self, end: Callable[[], object]) -> Iterator[None]:
        """Inside the block, `end` is called once, within seconds, if the credential expires or is revoked; see `check`."""
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
        """Raises Unauthorized if the credential is known to have ended. It makes no query."""
        if self._ended is not None:
            raise Unauthorized(self._ended, credential_sent=True)

    def wait(self, watch: Watch, timeout_s: float) -> Mapping[str, Any] | None:
        """As `watch.wait`. Raises Unauthorized, within seconds, if the credential ends meanwhile."""
        with self.monitored(watch.end):
            change = watch.wait(timeout_s)
        self.check()
        return change


NO_CREDENTIAL = CredentialStatus()
