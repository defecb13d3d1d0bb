"""What an extension came in with, and whether that is still good while its socket lives."""

from __future__ import annotations

import time

from app import logs
from app.domain.access import Proof
from app.domain.errors import Unavailable
from app.domain.messages import Authenticate
from app.services.access import Access

CHECKED_EVERY_S = 2.0

log = logs.get(__name__)


class Entry:
    """The token of one connection. `shown` came with the handshake; what `authenticate` says goes before it."""

    def __init__(self, access: Access, shown: str | None) -> None:
        self._access = access
        self._shown = shown
        self._proof: Proof | None = None
        self._checked_at = float("-inf")

    @property
    def token_id(self) -> str | None:
        """The id of the token; None where none was needed."""
        return None if self._proof is None else self._proof.id

    def admit(self, hello: Authenticate) -> None:
        """Let the extension in. Raises Unauthorized, Unavailable."""
        self._proof = self._access.admit_extension(hello.extension_id, hello.token or self._shown)

    def check(self) -> None:
        """Raises Unauthorized once the token has expired or was revoked; it is looked at every other second."""
        if self._proof is None or time.monotonic() - self._checked_at < CHECKED_EVERY_S:
            return
        self._checked_at = time.monotonic()
        try:
            self._access.check_still_good(self._proof)
        except Unavailable:
            log.warning("A token could not be checked", action="access.unchecked", token_id=self.token_id)
