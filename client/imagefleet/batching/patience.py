"""Trying again for as long as a person said."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from imagefleet.errors import ConnectionLost, ImagefleetError, Unreachable
from imagefleet.retrying import OnRetry, pauses

T = TypeVar("T")


def patiently(
    attempt: Callable[[], T],
    patience_s: float,
    on_retry: OnRetry,
    *,
    if_unsent: bool = True,
    if_unknown: bool = True,
) -> T:
    """The result of the attempt, which is repeated after faults for `patience_s` seconds.

    Without `if_unsent` a server that could not be reached at all is not tried again; without `if_unknown`, neither is what the
    server may have done.
    """
    begun, waits = time.monotonic(), pauses()
    while True:
        try:
            return attempt()
        except ImagefleetError as error:
            pause_s = max(next(waits), error.retry_after_s or 0.0)
            is_over = time.monotonic() - begun + pause_s > patience_s
            if is_over or not error.is_transient(idempotent=if_unknown) or (was_never_sent(error) and not if_unsent):
                raise
            on_retry(error, pause_s)
            time.sleep(pause_s)


def was_never_sent(error: ImagefleetError) -> bool:
    """True if the server certainly knows nothing of it."""
    return isinstance(error, Unreachable) and not isinstance(error, ConnectionLost)
