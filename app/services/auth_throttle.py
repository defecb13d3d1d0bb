"""How often one address may send wrong credentials. It never locks out a key that was accepted here before.

Each wrong key or token costs the address one token of a bucket that all processes share. While the bucket is empty, keys
are refused without the database query that checking one costs, except those that this process accepted within `KNOWN_S`:
so a stranger at the same address does not lock out other users. Signed tokens are always checked, since their signature
needs no query and they are new each hour.
"""

from collections.abc import Callable
from typing import Protocol, TypeVar

from app.domain.access import Credential, Secret, digest
from app.domain.errors import TooManyFailures, Unauthorized
from app.domain.networks import network
from app.services.access import Access
from app.services.caching import RecentNames

WINDOW_MS = 60_000
KNOWN_S = 86_400.0

T = TypeVar("T", bound=Credential | None)


class FailureLimit(Protocol):
    """A rate limit on failures, counted by name."""

    def hit(self, name: str) -> bool:
        """Count one failure; False if it exceeds the limit."""

    def wait_s(self, name: str) -> int:
        """Whole seconds until another one is allowed; 0 if it is allowed now."""


class AuthThrottle:
    """Authenticates through `access` while an address does not fail more often than `limit` allows; None is no limit."""

    def __init__(self, access: Access, limit: FailureLimit | None) -> None:
        self.access = access
        self._limit = limit
        self._known = RecentNames(KNOWN_S)

    def authenticate(self, address: str, bearer: str) -> Credential:
        """As Access.authenticate. Raises TooManyFailures as well."""
        return self.access.cached(bearer) or self._guarded(address, bearer, lambda: self.access.authenticate(bearer))

    def admit_extension(self, address: str, extension_id: str, bearer: str | None) -> Credential | None:
        """As Access.admit_extension. Raises TooManyFailures as well."""
        if not bearer:
            return self.access.admit_extension(extension_id, bearer)
        return self._guarded(address, bearer, lambda: self.access.admit_extension(extension_id, bearer))

    def check(self, address: str, bearer: str) -> None:
        """Raises TooManyFailures if this credential would be refused without a check."""
        if self._limit is None or digest(bearer) in self._known or Secret.read(bearer) is None:
            return
        wait_s = self._limit.wait_s(_name(address))
        if wait_s:
            raise _refusal(wait_s)

    def _guarded(self, address: str, bearer: str, verify: Callable[[], T]) -> T:
        self.check(address, bearer)
        try:
            credential = verify()
        except Unauthorized:
            self._known.discard(digest(bearer))
            self._count(address)
            raise
        self._known.add(digest(bearer))
        return credential

    def _count(self, address: str) -> None:
        """Count one failure. Raises TooManyFailures if it exceeds the limit."""
        if self._limit is not None and not self._limit.hit(_name(address)):
            raise _refusal(max(1, self._limit.wait_s(_name(address)))) from None


def _name(address: str) -> str:
    return f"failures:{network(address)}"


def _refusal(wait_s: int) -> TooManyFailures:
    detail = f"Your address sent too many invalid API keys or tokens. Try again in {wait_s} s."
    return TooManyFailures(detail, retry_after_s=wait_s)
