"""How often one address may show what is no good. Whoever was let in here before is never held up by it.

Each wrong key or token costs the address a token of a bucket that all processes share; one comes back every few seconds.
Where none is left, keys are no longer looked at, which would cost a question to the database each: but for those that
were good in this process within `KNOWN_S`, so that a stranger at the same address locks nobody out who is at work. Signed
tokens are always looked at, for a signature is checked without asking anybody; they are new every hour, and no work.
"""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Protocol, TypeVar

from app.domain.access import Proof, Secret, digest
from app.domain.buckets import SECOND_US, Bucket
from app.domain.errors import TooManyFailures, Unauthorized
from app.domain.networks import network
from app.services.access import Access

WINDOW_MS = 60_000
KNOWN_S = 86_400.0
NOTED_EVERY_S = 60.0
REMEMBERED = 10_000

T = TypeVar("T", bound=Proof | None)


class Taken(Protocol):
    """What came of taking from buckets."""

    @property
    def given(self) -> bool:
        """True where all of them gave."""

    @property
    def debts_us(self) -> tuple[int, ...]:
        """The debt of each."""


class Buckets(Protocol):
    """Where failures are counted."""

    def take(self, wanted: Mapping[str, Bucket], cost: int = 1) -> Taken:
        """Take `cost` tokens from each of the buckets, or from none; 0 asks what they hold."""


class AuthThrottle:
    """Lets in whom `access` lets in, while an address does not fail too often; `failures` a minute, 0 for any number."""

    def __init__(self, access: Access, buckets: Buckets, failures: int) -> None:
        self.access = access
        self._buckets = buckets
        self._bucket = Bucket.of(failures, WINDOW_MS, failures) if failures else None
        self._known = _Known()

    def authenticate(self, address: str, bearer: str) -> Proof:
        """As Access.authenticate. Raises TooManyFailures as well."""
        return self.access.remembered(bearer) or self._guarded(
            address, bearer, lambda: self.access.authenticate(bearer)
        )

    def admit_extension(self, address: str, extension_id: str, bearer: str | None) -> Proof | None:
        """As Access.admit_extension. Raises TooManyFailures as well."""
        if not bearer:
            return self.access.admit_extension(extension_id, bearer)
        return self._guarded(address, bearer, lambda: self.access.admit_extension(extension_id, bearer))

    def check(self, address: str, bearer: str) -> None:
        """Raises TooManyFailures where what is shown would not be looked at."""
        if self._bucket is None or bearer in self._known or Secret.read(bearer) is None:
            return
        counted = {_name(address): self._bucket}
        wait_us = self._bucket.wait_us(self._buckets.take(counted, 0).debts_us[0])
        if wait_us:
            raise _refusal(wait_us)

    def _guarded(self, address: str, bearer: str, look: Callable[[], T]) -> T:
        self.check(address, bearer)
        try:
            proof = look()
        except Unauthorized:
            self._known.forget(bearer)
            self._count(address)
            raise
        self._known.add(bearer)
        return proof

    def _count(self, address: str) -> None:
        """One failure more. Raises TooManyFailures where it is one too many."""
        if self._bucket is None:
            return
        taken = self._buckets.take({_name(address): self._bucket})
        if not taken.given:
            raise _refusal(self._bucket.wait_us(taken.debts_us[0])) from None


class _Known:
    """What was good here of late, by its digest. Bounded: whoever has not come for longest is forgotten first."""

    def __init__(self) -> None:
        self._good_at: OrderedDict[bytes, float] = OrderedDict()
        self._lock = threading.Lock()

    def __contains__(self, bearer: str) -> bool:
        return time.monotonic() - self._good_at.get(digest(bearer), float("-inf")) < KNOWN_S

    def add(self, bearer: str) -> None:
        name, now = digest(bearer), time.monotonic()
        if now - self._good_at.get(name, float("-inf")) < NOTED_EVERY_S:
            return
        with self._lock:
            self._good_at[name] = now
            self._good_at.move_to_end(name)
            if len(self._good_at) > REMEMBERED:
                self._good_at.popitem(last=False)

    def forget(self, bearer: str) -> None:
        with self._lock:
            self._good_at.pop(digest(bearer), None)


def _name(address: str) -> str:
    return f"failures:{network(address)}"


def _refusal(wait_us: int) -> TooManyFailures:
    wait_s = max(1, math.ceil(wait_us / SECOND_US))
    said = f"Too many keys and tokens that are no good came from your address. Come again in {wait_s} s."
    return TooManyFailures(said, retry_after_s=wait_s)
