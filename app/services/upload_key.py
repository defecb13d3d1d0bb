"""The key that signs the addresses of uploads: SECRET_KEY, or one that was made once and is kept in the database."""

from __future__ import annotations

from app.db import service_state
from app.db.engine import Transaction
from app.services.ports import Ports

NAME = "upload"


class UploadKey:
    """Asks the database for the key once, for it never changes."""

    def __init__(self, ports: Ports) -> None:
        self._tools = ports
        self._known: bytes | None = None

    def value(self, tx: Transaction) -> bytes:
        """The key."""
        if self._tools.settings.secret_key:
            return self._tools.settings.secret_key.encode()
        if self._known is None:
            made = service_state.secret(tx, NAME, self._tools.randomness.bytes(32))
            tx.after_commit(lambda: self._remember(made))  # undone, it would never have been
            return made
        return self._known

    def _remember(self, key: bytes) -> None:
        self._known = key
