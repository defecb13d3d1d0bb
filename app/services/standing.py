"""Whether what somebody came in with is still good, for as long as they stay: a socket, a stream, an answer that is held."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from app import logs
from app.domain.access import Proof
from app.domain.errors import Unavailable
from app.services.access import Access
from app.services.watching import Watch

CHECKED_EVERY_S = 2.0

log = logs.get(__name__)


class Standing:
    """Looks after one proof; without one, nobody had to show any and nothing ends."""

    def __init__(self, access: Access | None = None, proof: Proof | None = None) -> None:
        self._access = access
        self._proof = proof
        self._checked_at = time.monotonic()

    def check(self) -> None:
        """Raises Unauthorized once the proof has expired or was revoked; it is looked at every other second."""
        if self._access is None or self._proof is None or time.monotonic() - self._checked_at < CHECKED_EVERY_S:
            return
        self._checked_at = time.monotonic()
        try:
            self._access.check_still_good(self._proof)
        except Unavailable:  # who was let in stays while nobody can be asked
            log.warning("A token could not be checked", action="access.unchecked", token_id=self._proof.id)

    def wait(self, watch: Watch, timeout_s: float) -> Mapping[str, Any] | None:
        """As `watch.wait`. Raises Unauthorized, within seconds, once the watcher may not hear of it any more."""
        ends = time.monotonic() + timeout_s
        while True:
            left_s = ends - time.monotonic()
            change = watch.wait(left_s if self._proof is None else min(left_s, CHECKED_EVERY_S))
            self.check()
            if change is not None or watch.over or time.monotonic() >= ends:
                return change


ANYBODY = Standing()
