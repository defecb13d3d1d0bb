"""Who asks: users see what is theirs, operators see everything, extensions work."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum, StrEnum, auto
from typing import ClassVar

from app.domain.errors import Forbidden, MissingScope


class Role(StrEnum):
    """What somebody may do at all; scopes narrow it."""

    USER = "user"
    OPERATOR = "operator"
    EXTENSION = "extension"


class Scope(StrEnum):
    """What a key or a token may be used for; `admin` makes an operator's one an operator's."""

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"


class Need(Enum):
    """What an operation asks of its caller."""

    NOTHING = auto()  # anybody, and nothing that was sent along is looked at
    CALLER = auto()  # anybody who is let in, extensions too
    READ = auto()
    WRITE = auto()
    PROOF = auto()  # a key or a token, also where everybody is let in
    OPERATE = auto()  # an operator's key or token of the scope admin; nothing where everybody is let in, who see all

    @property
    def scope(self) -> Scope | None:
        """The scope that it takes."""
        return _SCOPES.get(self)


_SCOPES = {Need.READ: Scope.READ, Need.WRITE: Scope.WRITE, Need.OPERATE: Scope.ADMIN}


class Kind(StrEnum):
    """What somebody proves who they are with."""

    KEY = "key"
    TOKEN = "token"  # noqa: S105 - a kind of secret, not one
    EXTENSION_TOKEN = "extension token"  # noqa: S105 - the same


@dataclass(frozen=True, slots=True)
class Proof:
    """A credential that was found good. `id` is that of the key, or the token's `jti`; `expires_at` in ms.

    `subject` is a user's id, or an extension's where the role is that. `key_id` is the key that a token was made from.
    """

    kind: Kind
    id: str
    subject: str
    role: Role
    scopes: frozenset[Scope]
    expires_at: int | None = None
    key_id: str | None = None


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever sent a request. `user_id` is None where nobody had to say who they are (AUTH_MODE=open)."""

    address: str
    user_id: str | None = None
    role: Role = Role.USER
    scopes: frozenset[str] = frozenset()

    @classmethod
    def proven(cls, address: str, proof: Proof) -> Caller:
        """Whoever showed this proof. An extension's name has a mark that no user's can have."""
        extension = proof.role is Role.EXTENSION
        user_id = f"extension/{proof.subject}" if extension else proof.subject
        return cls(address, user_id, proof.role, frozenset() if extension else frozenset(proof.scopes))

    @property
    def known(self) -> bool:
        """True where the caller has proven who it is."""
        return self.user_id is not None

    @property
    def operates(self) -> bool:
        """True for an operator who came with an operator's key or token."""
        return self.role is Role.OPERATOR and Scope.ADMIN in self.scopes

    @property
    def sees_only(self) -> str | None:
        """Whose requests alone the caller sees; None where it sees all."""
        return None if self.operates else self.user_id

    def check(self, need: Need) -> None:
        """Raises MissingScope, or Forbidden, where the caller may not do what needs this."""
        if self.known and need.scope is not None and need.scope not in self.scopes:
            raise MissingScope(f"This needs a key or a token with the scope {need.scope}.", scope=need.scope)
        if self.known and need is Need.OPERATE and not self.operates:
            raise Forbidden("This is for operators.")

    def speaks_for(self, claimed: str | None) -> str | None:
        """The user whom the request is about: the claimed one, where the caller may say that. Raises Forbidden."""
        if self.user_id is None or claimed is None:
            return claimed or self.user_id
        if claimed == self.user_id or self.operates:
            return claimed
        raise Forbidden("userId is not yours: leave it out, or send the one that your key or token is for.")

    def asks_about(self, claimed: str | None) -> str | None:
        """The user whose requests it asks for; None for everybody's, where it sees all. Raises Forbidden."""
        return self.sees_only if claimed is None else self.speaks_for(claimed)

    def limit_key(self, claimed_user: str) -> str:
        """Whose rate limit a request counts against: one who invents user ids is still at one address."""
        return f"user:{self.user_id}" if self.user_id is not None else f"address:{self.address}:{claimed_user}"


@dataclass(frozen=True, slots=True)
class Secret:
    """A long-lived credential as its holder has it: `imgk_<id>_<secret>` for users, `imgx_<id>_<secret>` for extensions."""

    KEY: ClassVar[str] = "imgk"
    EXTENSION: ClassVar[str] = "imgx"

    prefix: str
    id: str
    secret: str = field(repr=False)

    @classmethod
    def read(cls, text: str) -> Secret | None:
        """The parts of one; None where the text is none. `sk-` before it is for programs that insist on it."""
        found = _SECRET.fullmatch(text)
        return None if found is None else cls(found[1], found[2], found[3])

    def __str__(self) -> str:
        return f"{self.prefix}_{self.id}_{self.secret}"

    @property
    def digest(self) -> str:
        """What is kept of it: SHA-256 in hex. It is random, so nobody can try all of them."""
        return hashlib.sha256(self.secret.encode()).hexdigest()

    def matches(self, digest: str) -> bool:
        """True where this is what the digest was made of; it takes as long where it is not."""
        return hmac.compare_digest(self.digest, digest)


def digest(bearer: str) -> bytes:
    """What somebody showed is remembered by, in place of itself."""
    return hashlib.sha256(bearer.encode("utf-8", "surrogatepass")).digest()


JTI = re.compile(r"[\x21-\x7e]{1,128}")
_SECRET = re.compile(r"(?:sk-)?(imgk|imgx)_([0-9a-f]{16})_([0-9a-f]{64})", re.ASCII)


def scopes_of(text: str) -> frozenset[Scope]:
    """The scopes in a `scope` claim or column; names that are not ours are passed over."""
    return frozenset(Scope(name) for name in text.split() if name in set(Scope))


def scope_text(scopes: Iterable[Scope]) -> str:
    """The same as it is written: names in order, separated by spaces."""
    return " ".join(sorted(scopes))


def bearer_of(authorization: str) -> str | None:
    """What an Authorization header shows (RFC 6750, section 2.1); None for other schemes. Queries are never read."""
    scheme, bearer = authorization[: len(_SCHEME)], authorization[len(_SCHEME) :].strip()
    return bearer if scheme.lower() == _SCHEME else None


_SCHEME = "bearer "
