"""Who may come in: what callers show is held against what is kept, and against the clock."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

from sqlalchemy import Table

from app import logs
from app.db import credentials, service_state
from app.db.credential_tables import api_keys, extension_tokens
from app.db.credentials import ExtensionToken, Key
from app.domain.access import Credential, CredentialKind, Role, Secret, digest, format_scopes
from app.domain.errors import Forbidden, Unauthorized, Unavailable
from app.services.ports import Ports
from app.services.revocation import RevocationWatcher

REMEMBERED_S = 1.0
REMEMBERED = 10_000
DISABLED = "The user is disabled."
NEVER = (float("-inf"), None)

Name = tuple[str, str | bytes]
T = TypeVar("T")

log = logs.get(__name__)


class Access:
    """Decides who is let in."""

    def __init__(self, ports: Ports, cache_s: float = REMEMBERED_S) -> None:
        self.ports = ports
        # Who was let in rests on what was found, and each is remembered for half of the time.
        self._memory, self._let_in = _Memory(cache_s / 2), _Memory(cache_s / 2)
        self.revocations = RevocationWatcher(ports.database)
        self._signing_key: bytes | None = None

    @property
    def required(self) -> bool:
        """True where everybody has to show who they are."""
        return self.ports.settings.auth_required

    def authenticate(self, bearer: str) -> Credential:
        """Whose key or token this is, where it is good. Raises Unauthorized, Unavailable.

        What was revoked in this process is refused at once, what was revoked elsewhere within a second; so is whoever
        was disabled.
        """
        return self.cached(bearer) or self._let_in.look(_shown(bearer), lambda: self._found_good(bearer))

    def cached(self, bearer: str) -> Credential | None:
        """Whose key or token this is, where it was found good a moment ago. Nobody is asked."""
        credential: Credential | None = self._let_in.cached(_shown(bearer))
        if credential is None or (credential.expires_at is not None and credential.expires_at <= time.time() * 1000):
            return None
        return credential

    def admit_extension(self, extension_id: str, bearer: str | None) -> Credential | None:
        """What the extension of this id comes in with; None where it needs nothing. Raises Unauthorized, Unavailable."""
        if bearer:
            credential = self.authenticate(bearer)
            if credential.role is not Role.EXTENSION or credential.subject != extension_id:
                raise Unauthorized("This token belongs to another extensionId.", shown=True)
            return credential
        if self.required:
            raise Unauthorized("authenticate.token is missing: the operator creates one for each extension.")
        if self.ports.database.read(lambda c: credentials.is_claimed(c, extension_id)):
            raise Unauthorized("This extensionId requires its token: send it as authenticate.token.")
        return None

    def exchange(self, credential: Credential) -> tuple[str, int, str]:
        """A token for a key: the token, its seconds, its scope. Raises Forbidden where it is no key that was shown."""
        if credential.kind is not CredentialKind.KEY:
            raise Forbidden("Only an API key can be exchanged for a token.")
        return self.issue(credential.subject, credential.role, format_scopes(credential.scopes), key=credential)

    def issue(
        self, subject: str, role: Role, scope: str, *, lifetime_ms: int | None = None, key: Credential | None = None
    ) -> tuple[str, int, str]:
        """A new token: it, its seconds, its scope. One that is made for a key ends no later than that key does."""
        signing = self.signing_key()
        now = self.ports.database.write(lambda tx: tx.now)
        ends = now + (lifetime_ms or self.ports.settings.token_lifetime_ms)
        if key is not None and key.expires_at is not None:
            ends = min(ends, key.expires_at)
        jti, key_id = self.ports.randomness.token(), key.id if key is not None else None
        credential = Credential(CredentialKind.TOKEN, jti, subject, role, frozenset(), ends, key_id)
        return self.ports.tokens.issue(credential, scope, now // 1000, signing), max(1, (ends - now) // 1000), scope

    def revoke(self, credential: Credential) -> None:
        """The token that was shown is no longer good. Raises Forbidden for what is none."""
        if credential.kind is not CredentialKind.TOKEN:
            raise Forbidden("Only tokens can be revoked here; the operator revokes API keys.")
        self.revoke_token(credential.id, credential.expires_at or 0)

    def revoke_token(self, jti: str, expires_at: int) -> None:
        """The token of that `jti` is no longer good; `expires_at` (ms) says how long that must be remembered."""
        self.ports.database.write(lambda tx: credentials.revoke_token(tx, jti, expires_at))
        self.forget()

    def forget(self) -> None:
        """Who is let in has changed: look at once."""
        self._memory.forget()
        self._let_in.forget()

    def signing_key(self) -> bytes:
        """What our tokens are signed with: JWT_SECRET, or a key that was made once and is kept in the database."""
        if self.ports.settings.jwt_secret:
            return self.ports.settings.jwt_secret.encode()
        if self._signing_key is None:
            fresh = self.ports.randomness.bytes(32)
            self._signing_key = self.ports.database.write(lambda tx: service_state.secret(tx, "tokens", fresh))
        return self._signing_key

    def _found_good(self, bearer: str) -> Credential:
        secret = Secret.read(bearer)
        if secret is None:
            credential = self.ports.tokens.read(bearer, self.signing_key())
            self._check_not_revoked(credential)
            self._check_user(credential)
            return credential
        return self._key(secret) if secret.prefix == Secret.KEY else self._extension_token(secret)

    def _key(self, secret: Secret) -> Credential:
        key = self._memory.find(("k", secret.id), lambda: self._read_key(secret.id))
        if key is None or not secret.matches(key.hash) or not key.live:
            raise Unauthorized("This API key is invalid.", shown=True)
        if key.disabled:
            raise Unauthorized(DISABLED, shown=True)
        self._note_use(api_keys, "k", secret.id)
        return Credential(CredentialKind.KEY, key.id, key.user_id, key.role, key.scopes, key.expires_at)

    def _extension_token(self, secret: Secret) -> Credential:
        token = self._memory.find(("x", secret.id), lambda: self._read_extension_token(secret.id))
        if token is None or not secret.matches(token.hash) or not token.live:
            raise Unauthorized("This token is invalid.", shown=True)
        self._note_use(extension_tokens, "x", secret.id)
        credential = (token.id, token.extension_id, Role.EXTENSION, frozenset[Any](), token.expires_at)
        return Credential(CredentialKind.EXTENSION_TOKEN, *credential)

    def _check_not_revoked(self, credential: Credential) -> None:
        if self._memory.find(("t", credential.id), lambda: self._is_revoked(credential.id)):
            raise Unauthorized("This token was revoked.", shown=True)
        self._check_key(credential.key_id)

    def _check_key(self, key_id: str | None) -> None:
        """The key that was shown, or that a token was made from, if there was one."""
        if key_id is None:
            return
        key = self._memory.find(("k", key_id), lambda: self._read_key(key_id))
        if key is None or not key.live:
            raise Unauthorized(
                "This API key, or the one that the token was made from, was revoked or has expired.", shown=True
            )

    def _check_user(self, credential: Credential) -> None:
        """A disabled user is kept out with whatever is good otherwise, whoever has signed it."""
        user_id = credential.subject
        if credential.role is Role.EXTENSION:
            return
        if self._memory.find(("u", user_id), lambda: self._is_disabled(user_id)):
            raise Unauthorized(DISABLED, shown=True)

    def _note_use(self, table: Table, kind: str, row_id: str) -> None:
        """When it was used last, once a minute a process; nobody is kept out where that cannot be written down."""
        if not self._memory.first_use((kind, row_id)):
            return
        try:
            self.ports.database.write(lambda tx: credentials.used(tx, table, row_id))
        except Unavailable:
            log.warning("The use of a key was not noted", action="access.unnoted", key_id=row_id)

    def _read_key(self, key_id: str) -> Key | None:
        return self.ports.database.read(lambda c: credentials.key(c, key_id))

    def _read_extension_token(self, token_id: str) -> ExtensionToken | None:
        return self.ports.database.read(lambda c: credentials.extension_token(c, token_id))

    def _is_disabled(self, user_id: str) -> bool:
        return self.ports.database.read(lambda c: credentials.is_disabled(c, user_id))

    def _is_revoked(self, jti: str) -> bool:
        return self.ports.database.read(lambda c: credentials.is_revoked(c, jti))


def _shown(bearer: str) -> Name:
    return "b", digest(bearer)


class _Memory:
    """What was found a moment ago. Bounded: it is emptied when it is full; what was not found is not kept."""

    def __init__(self, kept_s: float) -> None:
        self._kept_s = kept_s
        self._found: dict[Name, tuple[float, Any]] = {}
        self._used: dict[Name, float] = {}
        self._lock = threading.Lock()
        self._looking: dict[Name, threading.Lock] = {}
        self._forgotten = 0  # how often something was

    def cached(self, name: Name) -> Any:
        """What was found within the last moment; None where nothing was."""
        at, found = self._found.get(name, NEVER)
        return found if time.monotonic() - at < self._kept_s else None

    def find(self, name: Name, look: Callable[[], Any]) -> Any:
        """What `look` found within the last moment, or finds now. Of many who ask at once, one looks for all."""
        at, found = self._found.get(name, NEVER)
        if time.monotonic() - at < self._kept_s:
            return found
        with self._lock:
            one = self._looking.setdefault(name, threading.Lock())
        with one:
            at, found = self._found.get(name, NEVER)
            return found if time.monotonic() - at < self._kept_s else self.look(name, look)

    def look(self, name: Name, look: Callable[[], T]) -> T:
        """What `look` finds now."""
        began, forgotten = time.monotonic(), self._forgotten
        try:
            found = look()
            with self._lock:
                if found is not None and self._forgotten == forgotten:  # else it may be what is to be forgotten
                    self._keep(self._found, name, (began, found))
            return found
        finally:
            with self._lock:
                self._looking.pop(name, None)

    def first_use(self, name: Name) -> bool:
        """True once a minute for each name."""
        now = time.monotonic()
        if now - self._used.get(name, float("-inf")) < credentials.USED_EVERY_MS / 1000:
            return False  # as it is nearly always, so it is looked at before the lock is taken, too
        with self._lock:
            if now - self._used.get(name, float("-inf")) < credentials.USED_EVERY_MS / 1000:
                return False
            self._keep(self._used, name, now)
            return True

    def forget(self) -> None:
        """Look anew for everything."""
        with self._lock:
            self._forgotten += 1
            self._found.clear()

    @staticmethod
    def _keep(where: dict[Name, Any], name: Name, value: Any) -> None:
        if len(where) >= REMEMBERED:
            where.clear()
        where[name] = value
