"""Quotas of one user: waiting requests, requests per day, stored bytes. They are checked when a request is submitted."""

import math
from contextlib import AbstractContextManager, nullcontext

from app.db import usage
from app.db.engine import Transaction
from app.db.usage import UserQueue
from app.domain.errors import QuotaExceeded
from app.services.ports import Ports

DAY_MS = 86_400_000
SOON_S = 30
LATER_S = 3_600


class Quotas:
    """Refuses requests that would exceed a quota. Accepted requests are never affected."""

    def __init__(self, ports: Ports) -> None:
        self.limits = ports.settings.limits
        self._database = ports.database
        limits = self.limits
        self._counts = bool(limits.quota_waiting or limits.quota_per_day or limits.quota_stored_bytes)

    def lock(self, user_id: str) -> AbstractContextManager[None]:
        """Count one request of a user at a time: enter this before the transaction that calls `serialize` begins."""
        return self._database.local_lock(user_id) if self._counts else nullcontext()

    def serialize(self, tx: Transaction, user_id: str) -> None:
        """Until the transaction ends, no other one adds a request of this user. Call it before the user's queue is read."""
        if self._counts:
            tx.lock("quota", user_id)

    def check(self, tx: Transaction, user_id: str, queue: UserQueue) -> None:
        """Raises QuotaExceeded if the user may not submit another request."""
        limits = self.limits
        most = limits.quota_waiting
        if most and not queue.fewer_than(most) and usage.has_waiting(tx.connection, user_id, most):
            raise QuotaExceeded(
                f"You have {most} waiting requests, the most allowed (QUOTA_WAITING). "
                "You may submit another as soon as one of them is started or cancelled.",
                retry_after_s=SOON_S,
            )
        if limits.quota_per_day:
            self._day(tx, user_id)
        if limits.quota_stored_bytes:
            self._stored(tx, user_id)

    def _day(self, tx: Transaction, user_id: str) -> None:
        most = self.limits.quota_per_day
        first = usage.accepted_since(tx.connection, user_id, tx.now - DAY_MS, most)
        if first is not None:
            wait_s = max(1, math.ceil((first + DAY_MS - tx.now) / 1000))
            raise QuotaExceeded(
                f"You have submitted {most} requests in the last 24 hours, the most allowed (QUOTA_PER_DAY). "
                f"You may submit the next one in {wait_s} s.",
                retry_after_s=wait_s,
            )

    def _stored(self, tx: Transaction, user_id: str) -> None:
        most = self.limits.quota_stored_bytes
        stored = usage.bytes_stored(tx.connection, user_id)
        if stored >= most:
            raise QuotaExceeded(
                f"Your images use {stored} of {most} bytes (QUOTA_STORED_BYTES). "
                "You may submit more once the operator removes some of them or raises the quota.",
                retry_after_s=LATER_S,
            )
