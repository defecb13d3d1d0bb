"""Authentication: checks API keys, extension tokens and signed tokens, with a short cache in front of the database."""

import time
from collections.abc import Callable
from typing import Any, TypeVar

from sqlalchemy import Connection, Table

from app import logs
from app.db import credentials
from app.db.credential_tables import api_keys, extension_tokens
from app.domain.access import Credential, CredentialKind, Role, Secret, digest, format_scopes
from app.domain.errors import Forbidden, Unauthorized, Unavailable
from app.services.caching import Cache, RecentNames
from app.services.ports import Ports
from app.services.revocation import RevocationWatcher
from app.services.signing_keys import token_key

CACHE_S = 1.0
DISABLED = "The user is disabled."

T = TypeVar("T")

log = logs.get(__name__)


class Access:
    def __init__(self, ports: Ports, cache_s: float = CACHE_S) -> None:
        self.ports = ports
        # an accepted credential was built from cached rows: each cache gets half of the time
        self._rows, self._accepted = Cache(cache_s / 2), Cache(cache_s / 2)
        self._used = RecentNames(credentials.USED_EVERY_MS / 1000)
        self.revocations = RevocationWatcher(ports.database)
        self.signing_key = token_key(ports)

    @property
    def required(self) -> bool:
        """True if every caller has to authenticate."""
        return self.ports.settings.auth_required

    def authenticate(self, bearer: str) -> Credential:
        """The credential of this key or token. Raises Unauthorized, Unavailable.

        A revocation, or the disabling of a user, takes effect at once in the process that made it, and within a second
        in the others.
        """
        return self.cached(bearer) or self._accepted.load(digest(bearer), lambda: self._verify(bearer))

    def cached(self, bearer: str) -> Credential | None:
        """The credential, if it was accepted a moment ago and has not expired. It makes no query."""
        credential: Credential | None = self._accepted.cached(digest(bearer))
        if credential is None or (credential.expires_at is not None and credential.expires_at <= time.time() * 1000):
            return None
        return credential

    def admit_extension(self, extension_id: str, bearer: str | None) -> Credential | None:
        """The extension's credential; None if it needs none. Raises Unauthorized, Unavailable."""
        if bearer:
            credential = self.authenticate(bearer)
            if credential.role is not Role.EXTENSION or credential.subject != extension_id:
                raise Unauthorized("This token belongs to another extensionId.", credential_sent=True)
            return credential
        if self.required:
            raise Unauthorized("authenticate.token is missing: the operator creates one for each extension.")
        if self.ports.database.read(lambda c: credentials.is_claimed(c, extension_id)):
            raise Unauthorized("This extensionId requires its token: send it as authenticate.token.")
        return None

    def exchange(self, credential: Credential) -> tuple[str, int, str]:
        """Exchange an API key for a token: the token, its lifetime in seconds, its scope. Raises Forbidden."""
        if credential.kind is not CredentialKind.KEY:
            raise Forbidden("Only an API key can be exchanged for a token.")
        return self.issue(credential.subject, credential.role, format_scopes(credential.scopes), key=credential)

    def issue(
        self, subject: str, role: Role, scope: str, *, lifetime_ms: int | None = None, key: Credential | None = None
    ) -> tuple[str, int, str]:
        """A new token: the token, its lifetime in seconds, its scope. It expires no later than the `key` it is made from."""
        signing = self.signing_key.value()
        now = self.ports.database.write(lambda tx: tx.now)
        ends = now + (lifetime_ms or self.ports.settings.token_lifetime_ms)
        if key is not None and key.expires_at is not None:
            ends = min(ends, key.expires_at)
        jti, key_id = self.ports.randomness.token(), key.id if key is not None else None
        credential = Credential(CredentialKind.TOKEN, jti, subject, role, frozenset(), ends, key_id)
        return self.ports.tokens.issue(credential, scope, now // 1000, signing), max(1, (ends - now) // 1000), scope

    def revoke(self, credential: Credential) -> None:
        """Revoke the caller's own token. Raises Forbidden if the caller used an API key."""
        if credential.kind is not CredentialKind.TOKEN:
            raise Forbidden("Only tokens can be revoked here; the operator revokes API keys.")
        self.revoke_token(credential.id, credential.expires_at or 0)

    def revoke_token(self, jti: str, expires_at: int) -> None:
        """Revoke the token with this `jti`; the revocation is kept until `expires_at` (ms)."""
        self.ports.database.write(lambda tx: credentials.revoke_token(tx, jti, expires_at))
        self.forget()

    def forget(self) -> None:
        """Clear the caches: the next request of each caller is checked in the database."""
        self._rows.clear()
        self._accepted.clear()

    def _verify(self, bearer: str) -> Credential:
        secret = Secret.read(bearer)
        if secret is None:
            credential = self.ports.tokens.read(bearer, self.signing_key.value())
            self._check_not_revoked(credential)
            self._check_user(credential)
            return credential
        return self._key(secret) if secret.prefix == Secret.KEY else self._extension_token(secret)

    def _key(self, secret: Secret) -> Credential:
        key = self._row(credentials.key, secret.id)
        if key is None or not secret.matches(key.hash) or not key.live:
            raise Unauthorized("This API key is invalid.", credential_sent=True)
        if key.disabled:
            raise Unauthorized(DISABLED, credential_sent=True)
        self._note_use(api_keys, secret.id)
        return Credential(CredentialKind.KEY, key.id, key.user_id, key.role, key.scopes, key.expires_at)

    def _extension_token(self, secret: Secret) -> Credential:
        token = self._row(credentials.extension_token, secret.id)
        if token is None or not secret.matches(token.hash) or not token.live:
            raise Unauthorized("This token is invalid.", credential_sent=True)
        self._note_use(extension_tokens, secret.id)
        credential = (token.id, token.extension_id, Role.EXTENSION, frozenset[Any](), token.expires_at)
        return Credential(CredentialKind.EXTENSION_TOKEN, *credential)

    def _check_not_revoked(self, credential: Credential) -> None:
        if self._row(credentials.is_revoked, credential.id):
            raise Unauthorized("This token was revoked.", credential_sent=True)
        if credential.key_id is None:
            return
        key = self._row(credentials.key, credential.key_id)  # that the token was made from
        if key is None or not key.live:
            raise Unauthorized(
                "This API key, or the one that the token was made from, was revoked or has expired.",
                credential_sent=True,
            )

    def _check_user(self, credential: Credential) -> None:
        """A disabled user is refused even with a valid token, also with one that another issuer signed; a deleted one with those
        that were issued before."""
        if credential.role is Role.EXTENSION:
            return
        if self._row(credentials.is_disabled, credential.subject):
            raise Unauthorized(DISABLED, credential_sent=True)
        revoked_at = self._row(credentials.all_revoked_at, credential.subject)
        if revoked_at is not None and credential.issued_at <= revoked_at:
            raise Unauthorized("This token was revoked.", credential_sent=True)

    def _note_use(self, table: Table, row_id: str) -> None:
        """Store the time of use, once a minute per process. If that fails, the caller is accepted all the same."""
        if row_id in self._used:
            return
        self._used.add(row_id)
        try:
            self.ports.database.write(lambda tx: credentials.used(tx, table, row_id))
        except Unavailable:
            log.warning("The use of a key was not stored", action="access.unnoted", key_id=row_id)

    def _row(self, query: Callable[[Connection, str], T], row_id: str) -> T:
        """The result of this query for `row_id`, from the cache or the database."""
        return self._rows.get((query, row_id), lambda: self.ports.database.read(lambda c: query(c, row_id)))
