"""Who asks: users see what is theirs, operators see everything, extensions work."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """What somebody may do at all; scopes narrow it."""

    USER = "user"
    OPERATOR = "operator"
    EXTENSION = "extension"


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever sent a request. `user_id` is None where nobody had to say who they are (AUTH_MODE=open)."""

    address: str
    user_id: str | None = None
    role: Role = Role.USER
    scopes: frozenset[str] = frozenset()

    @property
    def known(self) -> bool:
        """True where the caller has proven who it is."""
        return self.user_id is not None

    def limit_key(self, claimed_user: str) -> str:
        """Whose rate limit a request counts against: one who invents user ids is still at one address."""
        return f"user:{self.user_id}" if self.user_id is not None else f"address:{self.address}:{claimed_user}"
