"""What an operator manages: users, API keys and extension tokens. A secret is shown once, when it is created."""

from collections.abc import Iterable

from sqlalchemy import Table

from app.db import credentials
from app.db.credential_tables import api_keys, extension_tokens
from app.db.credentials import ExtensionToken, Key, User
from app.db.engine import Transaction
from app.domain import image_request, messages
from app.domain.access import JTI, Role, Scope, Secret, format_scopes
from app.domain.errors import InvalidRequest, NotFound, Unauthorized, Unavailable
from app.services.access import Access
from app.services.ports import Ports

ID_BYTES = 8
SECRET_BYTES = 32
NAME_CHARS = 128
FOR_EVER = 2**53


class Accounts:
    def __init__(self, ports: Ports, access: Access) -> None:
        self.ports = ports
        self.access = access

    def create_user(self, user_id: str, role: Role, tier: str | None = None) -> None:
        """Create a user, in the default tier if none is named. Raises InvalidRequest."""
        self._check_tier(tier)
        if role is Role.EXTENSION or not image_request.USER.fullmatch(user_id):
            raise InvalidRequest(
                "A user id has 1 to 128 letters, digits and . _ : @ + | = -; the role is user or operator."
            )

        def work(tx: Transaction) -> bool:
            return credentials.add_user(tx, user_id, role) and credentials.set_tier(tx, user_id, tier)

        if not self.ports.database.write(work):
            raise InvalidRequest(f"The user {user_id} already exists.")

    def set_tier(self, user_id: str, tier: str | None) -> None:
        """Change the user's tier, None for the default one. Raises InvalidRequest, NotFound."""
        self._check_tier(tier)
        if not self.ports.database.write(lambda tx: credentials.set_tier(tx, user_id, tier)):
            raise NotFound(f"There is no user {user_id}.")

    def list_users(self) -> list[User]:
        return self.ports.database.read(credentials.all_users)

    def disable_user(self, user_id: str) -> None:
        """Refuse the user's keys and tokens, also those of another issuer; running requests go on. Raises NotFound.

        With JWKS_URL any user id is valid, since the other issuer may know users that were never created here.
        """

        def work(tx: Transaction) -> None:
            known = credentials.role_of(tx.connection, user_id) is not None
            if not known and (self.ports.settings.jwks_url is None or not image_request.USER.fullmatch(user_id)):
                raise NotFound(f"There is no user {user_id}.")
            credentials.disable(tx, user_id)

        self.ports.database.write(work)
        self.access.forget()

    def enable_user(self, user_id: str) -> None:
        """Accept the user's valid keys and tokens again. Raises NotFound."""
        if not self.ports.database.write(lambda tx: credentials.enable(tx, user_id)):
            raise NotFound(f"There is no user {user_id}.")
        self.access.forget()

    def create_key(
        self, user_id: str, scopes: Iterable[Scope], name: str | None = None, lifetime_ms: int | None = None
    ) -> Secret:
        """A new key of the user; it cannot be read again. Raises InvalidRequest, NotFound."""
        wanted = frozenset(scopes)
        if not wanted:
            raise InvalidRequest("A key needs at least one scope.")
        if name is not None and (len(name) > NAME_CHARS or not name.isprintable()):
            raise InvalidRequest(f"A key's name has at most {NAME_CHARS} printable characters.")
        secret = self._fresh(Secret.KEY)

        def work(tx: Transaction) -> None:
            role = credentials.role_of(tx.connection, user_id)
            if role is None:
                raise NotFound(f"There is no user {user_id}: create it first.")
            if Scope.ADMIN in wanted and role is not Role.OPERATOR:
                raise InvalidRequest(f"{user_id} is not an operator: only operators may have the scope admin.")
            credentials.add_key(tx, secret.id, secret.digest, user_id, wanted, name, _end(tx, lifetime_ms))

        self.ports.database.write(work)
        return secret

    def rotate_key(self, key_id: str, overlap_ms: int, lifetime_ms: int | None = None) -> Secret:
        """A new key with the user, the scopes and the name of this one, which stays valid for `overlap_ms` more.

        Without an overlap it is revoked, which also ends what is open with it. Raises NotFound, InvalidRequest.
        """
        secret, key_id = self._fresh(Secret.KEY), _id_of(key_id, Secret.KEY)

        def work(tx: Transaction) -> None:
            old = credentials.key(tx.connection, key_id)
            if old is None:
                raise NotFound(f"There is no key with the id {key_id}.")
            if not credentials.expire_key(tx, key_id, tx.now + overlap_ms):
                raise InvalidRequest(
                    f"The key {key_id} is revoked or has expired: create another one for {old.user_id}."
                )
            if overlap_ms == 0:
                credentials.revoke(tx, api_keys, key_id)
            ends = _end(tx, lifetime_ms)
            credentials.add_key(tx, secret.id, secret.digest, old.user_id, old.scopes, old.name, ends)

        self.ports.database.write(work)
        return secret

    def list_keys(self, user_id: str | None = None) -> list[Key]:
        """The keys of a user, or all; oldest first."""
        return self.ports.database.read(lambda c: credentials.keys(c, user_id=user_id))

    def revoke_key(self, key_id: str) -> None:
        """Revoke the key, given by its id or as a whole, and every token that was made from it. Raises NotFound."""
        self._revoke(api_keys, _id_of(key_id, Secret.KEY), "key")

    def create_extension_token(self, extension_id: str, lifetime_ms: int | None = None) -> Secret:
        """A new token of the extension; it cannot be read again. Raises InvalidRequest."""
        if not messages.ID.fullmatch(extension_id):
            raise InvalidRequest("An extensionId has 1 to 128 letters, digits and . _ : @ -.")
        secret = self._fresh(Secret.EXTENSION)
        self.ports.database.write(
            lambda tx: credentials.add_extension_token(
                tx, secret.id, secret.digest, extension_id, _end(tx, lifetime_ms)
            )
        )
        return secret

    def list_extension_tokens(self, extension_id: str | None = None) -> list[ExtensionToken]:
        """The tokens of an extension, or all; oldest first."""
        return self.ports.database.read(lambda c: credentials.tokens_of(c, extension_id))

    def revoke_extension_token(self, token_id: str) -> None:
        """Revoke the token, given by its id or as a whole; a socket that uses it is closed soon. Raises NotFound."""
        self._revoke(extension_tokens, _id_of(token_id, Secret.EXTENSION), "extension token")

    def issue_token(
        self, subject: str, role: Role | None, scopes: Iterable[Scope], lifetime_ms: int | None = None
    ) -> tuple[str, int, str]:
        """A token for a user, or for an extension if that is the role: the token, its lifetime in seconds, its scope.

        The default role is the user's own. Raises InvalidRequest, NotFound.
        """
        known = self.ports.database.read(lambda c: credentials.role_of(c, subject))
        if role is None and known is None:
            raise NotFound(f"There is no user {subject}: create it first.")
        role = role or known or Role.USER
        pattern = messages.ID if role is Role.EXTENSION else image_request.USER
        if not pattern.fullmatch(subject):
            raise InvalidRequest("A token's subject has 1 to 128 letters, digits and . _ : @ -.")
        if role is Role.OPERATOR and known is not Role.OPERATOR:
            raise InvalidRequest(f"{subject} is not an operator.")
        scope = "" if role is Role.EXTENSION else format_scopes(frozenset(scopes))
        return self.access.issue(subject, role, scope, lifetime_ms=lifetime_ms)

    def revoke_token(self, token_or_jti: str) -> str:
        """Revoke a signed token, given whole or by its `jti`; returns the `jti`. Raises InvalidRequest, Unavailable.

        The revocation is kept until the token expires, or for ever if its expiry cannot be verified.
        """
        if Secret.read(token_or_jti) is not None:
            raise InvalidRequest(
                "This is an API key or an extension's token: use revoke-key or revoke-extension-token."
            )
        jti = self.ports.tokens.unverified_id(token_or_jti) or token_or_jti
        if not JTI.fullmatch(jti):
            raise InvalidRequest("This is neither a signed token nor the id (jti) of one.")
        self.access.revoke_token(jti, self._end_of(token_or_jti) or FOR_EVER)
        return jti

    def _check_tier(self, tier: str | None) -> None:
        known = self.ports.settings.tiers.by_name
        if tier is not None and tier not in known:
            raise InvalidRequest(f"There is no tier {tier}: those of TIERS are {', '.join(known)}.")

    def _end_of(self, token: str) -> int | None:
        try:
            return self.ports.tokens.read(token, self.access.signing_key.value()).expires_at
        except (Unauthorized, Unavailable):
            return None

    def _fresh(self, prefix: str) -> Secret:
        return Secret(
            prefix, self.ports.randomness.bytes(ID_BYTES).hex(), self.ports.randomness.bytes(SECRET_BYTES).hex()
        )

    def _revoke(self, table: Table, row_id: str, what: str) -> None:
        if not self.ports.database.write(lambda tx: credentials.revoke(tx, table, row_id)):
            raise NotFound(f"There is no {what} with the id {row_id}.")


def _id_of(id_or_secret: str, prefix: str) -> str:
    """The id of a secret that was given as a whole, which must not be repeated in an answer; else what was given.

    Raises InvalidRequest if it is a secret of the other kind.
    """
    secret = Secret.read(id_or_secret)
    if secret is None:
        return id_or_secret
    if secret.prefix != prefix:
        raise InvalidRequest("This is an API key." if secret.prefix == Secret.KEY else "This is an extension's token.")
    return secret.id


def _end(tx: Transaction, lifetime_ms: int | None) -> int | None:
    return None if lifetime_ms is None else tx.now + lifetime_ms
