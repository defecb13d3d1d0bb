"""The key that signs upload URLs: SECRET_KEY, or one that was generated once and is stored in the database."""

from app.db import service_state
from app.db.engine import Transaction
from app.services.ports import Ports

NAME = "upload"


class UploadKey:
    """Reads the key from the database once: it never changes."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        self._known: bytes | None = None

    def value(self, tx: Transaction) -> bytes:
        """The key."""
        if self._ports.settings.secret_key:
            return self._ports.settings.secret_key.encode()
        if self._known is None:
            key = service_state.secret(tx, NAME, self._ports.randomness.bytes(32))
            tx.after_commit(lambda: self._cache(key))  # only a committed key exists
            return key
        return self._known

    def _cache(self, key: bytes) -> None:
        self._known = key
