"""Retries transactions after transient database errors."""

import time
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from app.domain.errors import Unavailable

T = TypeVar("T")

ATTEMPTS = 3
PAUSE_S = 0.05  # lets the other transaction of a deadlock finish first
DEADLOCKS = {"40P01", "40001"}  # SQLSTATE of deadlocks and serialization failures


def retried(attempt: Callable[[], T]) -> T:
    """The result of `attempt`, which is retried after transient errors.

    Raises Unavailable if the database cannot be reached, or is busy for too long.
    """
    for attempts_left in reversed(range(ATTEMPTS)):
        try:
            return attempt()
        except (OperationalError, InterfaceError, PoolTimeout) as error:
            if not (attempts_left and _is_undone(error)):
                raise Unavailable(
                    "The database cannot be reached or is busy; try again shortly.", retry_after_s=2
                ) from error
        time.sleep(PAUSE_S)
    raise AssertionError("unreachable")


def _is_undone(error: Exception) -> bool:
    """True if the transaction was certainly rolled back, and a retry may succeed."""
    if not isinstance(error, DBAPIError):
        return False
    if getattr(error.orig, "sqlstate", None) in DEADLOCKS:
        return True
    # A pooled connection was broken. Without a statement it was the commit that failed, and its outcome is unknown.
    return error.connection_invalidated and error.statement is not None
