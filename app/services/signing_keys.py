"""The keys that sign tokens and upload URLs and addresses of pictures, and that secrets of webhooks are computed from: from the settings, or generated once and stored in the database."""

from app.db import service_state
from app.db.engine import Transaction
from app.services.ports import Ports


class SigningKey:
    """The key `configured`, else the stored one of this name. It is read once: it never changes."""

    def __init__(self, ports: Ports, name: str, configured: str | None) -> None:
        self._ports = ports
        self._name = name
        self._known = configured.encode() if configured else None

    def value(self) -> bytes:
        """The key, read in a transaction of its own if it has not been read yet."""
        return self._known or self._ports.database.write(self.value_in)

    def value_in(self, tx: Transaction) -> bytes:
        """The key, read in this transaction if it has not been read yet."""
        if self._known is not None:
            return self._known
        key = service_state.secret(tx, self._name, self._ports.randomness.bytes(32))
        tx.after_commit(lambda: self._cache(key))  # only a committed key exists
        return key

    def _cache(self, key: bytes) -> None:
        self._known = key


def token_key(ports: Ports) -> SigningKey:
    """The key of signed tokens: JWT_SECRET, or a stored one."""
    return SigningKey(ports, "tokens", ports.settings.jwt_secret)


def webhook_key(ports: Ports) -> SigningKey:
    """The key that the secrets of webhooks are computed from: SECRET_KEY, or a stored one."""
    return SigningKey(ports, "webhooks", ports.settings.secret_key)


def picture_key(ports: Ports) -> SigningKey:
    """The key of signed addresses of pictures: SECRET_KEY, or a stored one."""
    return SigningKey(ports, "pictures", ports.settings.secret_key)


def upload_key(ports: Ports) -> SigningKey:
    """The key of upload URLs: SECRET_KEY, or a stored one."""
    return SigningKey(ports, "upload", ports.settings.secret_key)
