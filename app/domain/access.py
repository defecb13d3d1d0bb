"""Who may do what: users see their own requests, operators see all of them, extensions work on them."""

import hashlib
import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum, StrEnum, auto
from typing import ClassVar, Self

from app.domain.errors import Forbidden, MissingScope


class Role(StrEnum):
    """The most that a caller may do; scopes narrow it."""

    USER = "user"
    OPERATOR = "operator"
    EXTENSION = "extension"


class Scope(StrEnum):
    """What a key or a token may be used for; operators need `admin` to act as operators. It includes `read`."""

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"


class Need(Enum):
    """What a caller must present for an operation."""

    NOTHING = auto()  # no credential, and one that was sent is ignored
    CALLER = auto()  # any valid credential, an extension's too
    READ = auto()
    WRITE = auto()
    CREDENTIAL = auto()  # a key or a token, even if AUTH_MODE=open
    OPERATE = auto()  # an operator's key or token with the scope admin; nothing if AUTH_MODE=open

    @property
    def scope(self) -> Scope | None:
        return _SCOPES.get(self)


_SCOPES = {Need.READ: Scope.READ, Need.WRITE: Scope.WRITE, Need.OPERATE: Scope.ADMIN}


class CredentialKind(StrEnum):
    KEY = "key"
    TOKEN = "token"  # noqa: S105 - a kind of secret, not one
    EXTENSION_TOKEN = "extension token"  # noqa: S105 - the same


@dataclass(frozen=True, slots=True)
class Credential:
    """A verified credential. `id` is the key's id or the token's `jti`, `expires_at` is in ms since the epoch.

    `subject` is a user's id, or an extension's if the role is `extension`. `key_id` names the key that a token was made
    from, `issued_at` (ms) says when a token was.
    """

    kind: CredentialKind
    id: str
    subject: str
    role: Role
    scopes: frozenset[Scope]
    expires_at: int | None = None
    key_id: str | None = None
    issued_at: int = 0


@dataclass(frozen=True, slots=True)
class Caller:
    """The sender of a request. `user_id` is None if it presented no credential (AUTH_MODE=open)."""

    address: str
    user_id: str | None = None
    role: Role = Role.USER
    scopes: frozenset[str] = frozenset()

    @classmethod
    def with_credential(cls, address: str, credential: Credential) -> Self:
        """The caller with this credential. An extension's `user_id` contains a slash, which no real user id can."""
        extension = credential.role is Role.EXTENSION
        user_id = f"extension/{credential.subject}" if extension else credential.subject
        return cls(address, user_id, credential.role, frozenset() if extension else frozenset(credential.scopes))

    @property
    def authenticated(self) -> bool:
        """True if the caller presented a valid credential."""
        return self.user_id is not None

    @property
    def is_operator(self) -> bool:
        """True for an operator with the scope `admin`."""
        return self.role is Role.OPERATOR and Scope.ADMIN in self.scopes

    @property
    def visible_user(self) -> str | None:
        """The only user whose requests the caller may see; None if it may see all."""
        return None if self.is_operator else self.user_id

    def check(self, need: Need) -> None:
        """Raises MissingScope or Forbidden if the caller does not meet the need."""
        if self.authenticated and need.scope is not None and not self._has(need.scope):
            raise MissingScope(f"This needs an API key or token with the scope {need.scope}.", scope=need.scope)
        if self.authenticated and need is Need.OPERATE and not self.is_operator:
            raise Forbidden("Only operators may do this.")

    def _has(self, scope: Scope) -> bool:
        """True if the scope was granted; whoever may see everything with `admin` may read what is listed there."""
        return scope in self.scopes or (scope is Scope.READ and Scope.ADMIN in self.scopes)

    def user_for(self, claimed: str | None) -> str | None:
        """The user that a request belongs to: the claimed one if the caller may act for that user. Raises Forbidden."""
        if self.user_id is None or claimed is None:
            return claimed or self.user_id
        if claimed == self.user_id or self.is_operator:
            return claimed
        raise Forbidden("userId is not yours: omit it, or send the user id of your API key or token.")

    def listed_user(self, claimed: str | None) -> str | None:
        """The user whose requests are listed; None for all users. Raises Forbidden."""
        return self.visible_user if claimed is None else self.user_for(claimed)

    def limit_key(self, claimed_user: str) -> str:
        """The key of the caller's rate limit; user ids that nothing proves count per address."""
        return f"user:{self.user_id}" if self.user_id is not None else f"address:{self.address}:{claimed_user}"


@dataclass(frozen=True, slots=True)
class Secret:
    """A long-lived credential in full: `imgk_<id>_<secret>` for users, `imgx_<id>_<secret>` for extensions."""

    KEY: ClassVar[str] = "imgk"
    EXTENSION: ClassVar[str] = "imgx"

    prefix: str
    id: str
    secret: str = field(repr=False)

    @classmethod
    def read(cls, text: str) -> Self | None:
        """Parse a credential; None if it is not one. The prefix `sk-` is allowed, since some clients insist on it."""
        found = _SECRET.fullmatch(text)
        return cls(*found.groups()) if found else None

    def __str__(self) -> str:
        return f"{self.prefix}_{self.id}_{self.secret}"

    @property
    def digest(self) -> str:
        """The SHA-256 of the secret in hex, which is what is stored. The secret is random, so a fast hash is safe."""
        return hashlib.sha256(self.secret.encode()).hexdigest()

    def matches(self, digest: str) -> bool:
        """Compare with a stored digest in constant time."""
        return hmac.compare_digest(self.digest, digest)


def digest(bearer: str) -> bytes:
    """The SHA-256 under which a credential is cached, instead of the credential itself."""
    return hashlib.sha256(bearer.encode("utf-8", "surrogatepass")).digest()


JTI = re.compile(r"[\x21-\x7e]{1,128}")
_SECRET = re.compile(r"(?:sk-)?(imgk|imgx)_([0-9a-f]{16})_([0-9a-f]{64})", re.ASCII)


def parse_scopes(text: str) -> frozenset[Scope]:
    """The scopes in a `scope` claim or column; unknown names are ignored."""
    return frozenset(Scope(name) for name in text.split() if name in set(Scope))


def format_scopes(scopes: Iterable[Scope]) -> str:
    """The scopes as text: names in order, separated by spaces."""
    return " ".join(sorted(scopes))


def parse_bearer(authorization: str) -> str | None:
    """The bearer token of an Authorization header (RFC 6750, section 2.1); None for other schemes."""
    scheme, space, bearer = authorization.partition(" ")
    return bearer.strip() if space and scheme.lower() == "bearer" else None
