"""The secrets that sign what is sent to webhooks. They are computed from a key of this service, so no database has them."""

from app.db.engine import Transaction
from app.db.webhook_claims import Claim
from app.db.webhooks import Endpoint
from app.domain.webhooks import fingerprint, secret_bytes, secret_text
from app.services.ports import Ports
from app.services.signing_keys import webhook_key

KEY_CHANGED = "Its secret is lost, because the service has another SECRET_KEY now: rotate the secret."


class SecretLost(Exception):
    """The key that the webhook's secrets were computed from is no longer known."""


class WebhookSecrets:
    def __init__(self, ports: Ports) -> None:
        self._key = webhook_key(ports)

    def key_fingerprint(self, tx: Transaction) -> str:
        """Of the current key; stored with each webhook."""
        return fingerprint(self._key.value_in(tx))

    def shown(self, tx: Transaction, endpoint: Endpoint) -> str:
        """The webhook's current secret, for its owner."""
        return secret_text(secret_bytes(self._key.value_in(tx), endpoint.id, endpoint.secret_number))

    def signing(self, claim: Claim, now_ms: int) -> list[bytes]:
        """The secrets that sign a delivery: the current one, and after a rotation the previous one. Raises SecretLost."""
        key = self._key.value()
        if fingerprint(key) != claim.key_fingerprint:
            raise SecretLost
        numbers = [claim.secret_number]
        if claim.previous_until is not None and claim.previous_until > now_ms:
            numbers.append(claim.secret_number - 1)
        return [secret_bytes(key, claim.signer_id, number) for number in numbers]
