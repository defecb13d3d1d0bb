"""The key that signs the addresses of uploads: SECRET_KEY, or one that was made once and is kept in the database."""

from __future__ import annotations

from app.db import notes
from app.db.engine import Transaction
from app.services.tools import Tools

NAME = "upload"


class UploadKey:
    """Asks the database for the key once, for it never changes."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._known: bytes | None = None

    def value(self, tx: Transaction) -> bytes:
        """The key."""
        if self._tools.settings.secret_key:
            return self._tools.settings.secret_key.encode()
        if self._known is None:
            made = notes.secret(tx, NAME, self._tools.chance.bytes(32))
            tx.after_commit(lambda: self._remember(made))  # undone, it would never have been
            return made
        return self._known

    def _remember(self, key: bytes) -> None:
        self._known = key
