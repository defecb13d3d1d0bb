"""Retries transactions after transient database errors."""

import time
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from app.db.driver_errors import Outcome, hide_values, outcome
from app.domain.errors import Unavailable

T = TypeVar("T")

ATTEMPTS = 3
PAUSE_S = 0.05  # lets the other transaction of a deadlock finish first


def retried(attempt: Callable[[], T]) -> T:
    """The result of `attempt`, which is retried after transient errors.

    Raises Unavailable if the database cannot be reached, or is busy for too long.
    """
    for attempts_left in reversed(range(ATTEMPTS)):
        try:
            return attempt()
        except (DBAPIError, PoolTimeout) as error:
            _check_may_retry(error, attempts_left)
        time.sleep(PAUSE_S)
    raise AssertionError("unreachable")


def _check_may_retry(error: DBAPIError | PoolTimeout, attempts_left: int) -> None:
    """Raises Unavailable, or the error itself if it is a defect of this program."""
    becomes = outcome(error)
    if becomes is Outcome.RETRY and attempts_left:
        return
    if isinstance(error, DBAPIError) and becomes is Outcome.DEFECT:
        hide_values(error)
        raise error
    raise Unavailable("The database cannot be reached or is busy; try again shortly.", retry_after_s=2) from error
