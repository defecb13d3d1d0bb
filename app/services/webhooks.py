"""The webhooks of users: define, change and remove them, rotate their secrets, and see what was sent to them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import Connection

from app.db import webhook_deliveries, webhooks
from app.db.engine import Transaction
from app.db.webhook_deliveries import Delivery
from app.db.webhooks import ACCOUNT, EVERYTHING, Endpoint
from app.domain.errors import NotFound, TooManyWebhooks, WebhookDisabled, WebhookRefused
from app.domain.ids import uuid7
from app.domain.images import PictureError
from app.domain.webhooks import ENDPOINTS_EACH, OVERLAP_MS, Target
from app.services.ports import Ports
from app.services.webhook_secrets import WebhookSecrets

BY_OWNER = "Its owner disabled it."
AGAIN_AT_ONCE = 1_000  # deliveries that one transaction has sent again
MOST_AGAIN = 100_000


@dataclass(frozen=True, slots=True)
class WithSecret:
    """A webhook, and its new secret, which is shown this once."""

    endpoint: Endpoint
    secret: str


@dataclass(frozen=True, slots=True)
class EndpointPage:
    """Some webhooks, oldest first; `cursor` continues the list and is None at its end."""

    endpoints: Sequence[Endpoint]
    cursor: str | None


@dataclass(frozen=True, slots=True)
class DeliveryPage:
    """Some deliveries, newest first; `cursor` continues the list and is None at its end."""

    deliveries: Sequence[Delivery]
    cursor: int | None


class Webhooks:
    """A `user` is whose webhook it must be; None is anybody's."""

    def __init__(self, ports: Ports) -> None:
        self.ports = ports
        self.secrets = WebhookSecrets(ports)

    def check(self, target: Target) -> None:
        """Raises WebhookRefused if the address itself shows that nothing can be sent to it."""
        try:
            self.ports.post.check(target.url)
        except PictureError as problem:
            raise WebhookRefused(
                f"url cannot be used: {problem} The operator can allow it by WEBHOOK_ALLOWLIST."
            ) from None

    def create(self, user: str, target: Target, description: str | None = None) -> WithSecret:
        """Store a webhook that is told of all requests of the user from now on.

        Raises WebhookRefused, TooManyWebhooks, Unavailable.
        """
        self.check(target)

        def work(tx: Transaction) -> WithSecret:
            tx.lock("webhooks", user)
            if webhooks.count(tx.connection, user) >= ENDPOINTS_EACH:
                raise TooManyWebhooks(f"You have {ENDPOINTS_EACH} webhooks, the most allowed: remove one.")
            endpoint = self._add(tx, user, EVERYTHING, target, description=description)
            assert endpoint is not None
            return WithSecret(endpoint, self.secrets.shown(tx, endpoint))

        return self.ports.database.write(work)

    def attach(self, tx: Transaction, user: str, scope: str, target: Target) -> None:
        """Store a webhook of one request or batch, `scope`, signed with the secret of the user's account.

        Call `check` before the transaction.
        """
        self._add(tx, user, scope, target, signer_id=self._account(tx, user).id)

    def find(self, user: str | None, webhook_id: str) -> Endpoint:
        """Raises NotFound, Unavailable."""
        return self.ports.database.read(lambda c: _owned(c, user, webhook_id))

    def page(self, user: str, scope: str | None, cursor: str | None, limit: int) -> EndpointPage:
        """The user's webhooks, or those of one request or batch. Raises Unavailable."""
        if scope == ACCOUNT:
            return EndpointPage((), None)
        found = self.ports.database.read(lambda c: webhooks.page(c, user, scope or EVERYTHING, cursor, limit + 1))
        shown = found[:limit]
        return EndpointPage(shown, shown[-1].id if len(found) > limit else None)

    def change(self, user: str | None, webhook_id: str, **changes: Any) -> Endpoint:
        """Change `url`, `events`, `description` or `enabled`. Disabling fails what is still to be sent.

        Raises NotFound, WebhookRefused, Unavailable.
        """
        if "url" in changes:
            target = Target(changes["url"])
            self.check(target)
            changes |= {"host": target.host, "failing_since": None, "silent_since": None}
        if changes.get("enabled"):
            changes |= {"disabled_reason": None, "failing_since": None, "silent_since": None}

        def work(tx: Transaction) -> Endpoint:
            before = _owned(tx.connection, user, webhook_id)
            if changes.get("enabled") is False and before.enabled:
                disable(tx, before.id, BY_OWNER)
            if "host" in changes:
                webhook_deliveries.move_host(tx, before.id, changes["host"])
            return _found(webhooks.change(tx, before.id, **changes))

        return self.ports.database.write(work)

    def remove(self, user: str | None, webhook_id: str) -> None:
        """Remove the webhook with all its deliveries. Raises NotFound, Unavailable."""

        def work(tx: Transaction) -> None:
            webhooks.remove(tx, _owned(tx.connection, user, webhook_id).id)

        self.ports.database.write(work)

    def rotate_secret(self, user: str | None, webhook_id: str) -> WithSecret:
        """Make a new secret; the previous one signs too for `OVERLAP_MS`. Raises NotFound, Unavailable."""
        return self.ports.database.write(lambda tx: self._rotate(tx, _owned(tx.connection, user, webhook_id)))

    def rotate_account_secret(self, user: str) -> WithSecret:
        """The same for the secret that signs what is sent to webhooks of the user's single requests. Raises Unavailable."""

        def work(tx: Transaction) -> WithSecret:
            tx.lock("webhooks", user)
            return self._rotate(tx, self._account(tx, user))

        return self.ports.database.write(work)

    def deliveries(
        self, user: str | None, webhook_id: str, status: str | None, cursor: int | None, limit: int
    ) -> DeliveryPage:
        """What was and is sent to the webhook. Raises NotFound, Unavailable."""

        def work(connection: Connection) -> list[Delivery]:
            endpoint = _owned(connection, user, webhook_id)
            return webhook_deliveries.page(connection, endpoint.id, status, cursor, limit + 1)

        found = self.ports.database.read(work)
        shown = found[:limit]
        return DeliveryPage(shown, shown[-1].id if len(found) > limit else None)

    def redeliver(self, user: str | None, webhook_id: str, delivery_id: int) -> int:
        """Send one finished delivery again; returns 1. Raises NotFound, WebhookDisabled, Unavailable."""

        def work(tx: Transaction) -> int:
            endpoint = _enabled(_owned(tx.connection, user, webhook_id))
            if not webhook_deliveries.again(tx, endpoint.id, delivery_id):
                raise NotFound("Not found: the webhook has no finished delivery with this id.")
            tx.after_commit(self.ports.tasks.deliver)
            return 1

        return self.ports.database.write(work)

    def redeliver_failed(self, user: str | None, webhook_id: str, since_ms: int) -> int:
        """Send everything again that failed and happened since then; returns how many, at most `MOST_AGAIN`.

        Raises NotFound, WebhookDisabled, Unavailable.
        """
        count, above = 0, 0
        while count < MOST_AGAIN:
            ids = self.ports.database.write(partial(self._again, user, webhook_id, since_ms, above))
            if not ids:
                break
            count, above = count + len(ids), ids[-1]
        return count

    def test(self, user: str | None, webhook_id: str) -> Delivery:
        """Send a test event, once. Raises NotFound, WebhookDisabled, Unavailable."""

        def work(tx: Transaction) -> Delivery:
            endpoint = _enabled(_owned(tx.connection, user, webhook_id))
            event_id = f"evt_{uuid7(tx.now, self.ports.randomness.bytes(10))}_1"
            tx.after_commit(self.ports.tasks.deliver)
            return webhook_deliveries.add_test(tx, endpoint.id, endpoint.host, event_id)

        return self.ports.database.write(work)

    def _again(self, user: str | None, webhook_id: str, since_ms: int, above: int, tx: Transaction) -> list[int]:
        endpoint = _enabled(_owned(tx.connection, user, webhook_id))
        tx.after_commit(self.ports.tasks.deliver)
        return webhook_deliveries.failed_again(tx, endpoint.id, since_ms, above, AGAIN_AT_ONCE)

    def _account(self, tx: Transaction, user: str) -> Endpoint:
        known = webhooks.find_scoped(tx.connection, user, ACCOUNT)
        if known is not None:
            return known
        self._add(tx, user, ACCOUNT, Target("", ()))
        return _found(webhooks.find_scoped(tx.connection, user, ACCOUNT))  # perhaps another transaction's

    def _add(
        self,
        tx: Transaction,
        user: str,
        scope: str,
        target: Target,
        *,
        signer_id: str | None = None,
        description: str | None = None,
    ) -> Endpoint | None:
        webhook_id = uuid7(tx.now, self.ports.randomness.bytes(10))
        values = {
            "id": webhook_id,
            "user_id": user,
            "scope": scope,
            "url": target.url,
            "host": target.host if target.url else "",
            "events": target.events,
            "description": description,
            "signer_id": signer_id or webhook_id,
            "key_fingerprint": self.secrets.key_fingerprint(tx),
        }
        return webhooks.add(tx, values)

    def _rotate(self, tx: Transaction, endpoint: Endpoint) -> WithSecret:
        current = self.secrets.key_fingerprint(tx)
        # secrets of a key that is no longer known cannot sign
        until = tx.now + OVERLAP_MS if current == endpoint.key_fingerprint else None
        number = endpoint.secret_number + 1
        values = {"secret_number": number, "previous_until": until, "key_fingerprint": current}
        rotated = _found(webhooks.change(tx, endpoint.id, **values))
        return WithSecret(rotated, self.secrets.shown(tx, rotated))


def disable(tx: Transaction, webhook_id: str, reason: str) -> None:
    """Send nothing more to the webhook: what is still to be sent fails, until it is sent again on request."""
    webhooks.change(tx, webhook_id, enabled=False, disabled_reason=reason)
    webhook_deliveries.give_up(tx, webhook_id, f"The webhook is disabled. {reason}")


def _owned(connection: Connection, user: str | None, webhook_id: str) -> Endpoint:
    """Raises NotFound."""
    found = _found(webhooks.find(connection, webhook_id))
    if user not in {None, found.user_id} or found.scope == ACCOUNT:
        raise _not_found()
    return found


def _enabled(endpoint: Endpoint) -> Endpoint:
    if not endpoint.enabled:
        raise WebhookDisabled(f"The webhook is disabled: enable it first. {endpoint.disabled_reason}")
    return endpoint


def _found(endpoint: Endpoint | None) -> Endpoint:
    if endpoint is None:
        raise _not_found()
    return endpoint


def _not_found() -> NotFound:
    return NotFound("Not found: there is no webhook of this id; GET /api/webhooks lists them.")
