"""Quotas of one user: waiting requests, items of batches, requests per day, stored bytes, input pictures. They are checked when
requests are submitted and input pictures uploaded."""

import math
from contextlib import AbstractContextManager, nullcontext

from app.db import batch_items, inputs, usage
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
        counted = (limits.quota_waiting, limits.quota_batch_items, limits.quota_per_day, limits.quota_stored_bytes)
        self._counts = any(counted)

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

    def check_items(self, tx: Transaction, user_id: str, count: int) -> None:
        """Raises QuotaExceeded if the user may not add `count` items to batches."""
        limits = self.limits
        if limits.quota_batch_items:
            self._batch_items(tx, user_id, count)
        if limits.quota_per_day:
            self._day_of_items(tx, user_id, count)
        if limits.quota_stored_bytes:
            self._stored(tx, user_id)

    def check_input(self, tx: Transaction, user_id: str) -> None:
        """Raises QuotaExceeded if the user may not upload another input picture. Until the transaction ends, no other one is
        counted."""
        limits = self.limits
        if limits.quota_inputs or limits.quota_stored_bytes:
            tx.lock("quota", user_id)
        if limits.quota_inputs and inputs.count(tx.connection, user_id, limits.quota_inputs) >= limits.quota_inputs:
            raise QuotaExceeded(
                f"You have {limits.quota_inputs} input pictures, the most allowed (QUOTA_INPUTS). "
                "Remove one that you no longer need (DELETE /api/inputs/{inputId}), or wait until one expires.",
                retry_after_s=LATER_S,
            )
        if limits.quota_stored_bytes:
            self._stored(tx, user_id)

    def _batch_items(self, tx: Transaction, user_id: str, count: int) -> None:
        most = self.limits.quota_batch_items
        held = batch_items.held_of_user(tx.connection, user_id, most)
        if held + count > most:
            raise QuotaExceeded(
                f"You have {held:,} items in batches that are not in the queue yet; with these {count:,} they would be "
                f"{held + count - most:,} more than the {most:,} allowed (QUOTA_BATCH_ITEMS). "
                "You may add items as the others are released or cancelled.",
                retry_after_s=SOON_S,
            )

    def _day_of_items(self, tx: Transaction, user_id: str, count: int) -> None:
        most = self.limits.quota_per_day
        used = usage.count_since(tx.connection, user_id, tx.now - DAY_MS, most)
        if used + count > most:
            raise QuotaExceeded(
                f"You have submitted {used:,} requests in the last 24 hours; with these {count:,} items they would be "
                f"{used + count - most:,} more than the {most:,} allowed (QUOTA_PER_DAY).",
                retry_after_s=LATER_S,
            )

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
