"""Whether the database and Redis answer."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

from app.db import clock
from app.domain.errors import Unavailable
from app.services.ports import Ports

CHECK_EVERY_S = 1.0


@dataclass(frozen=True, slots=True)
class ComponentHealth:
    """Without the database no request is accepted; without Redis accepted requests wait until it is back."""

    database: bool
    redis: bool


class Health:
    """Checks the parts once per `check_every_s` at most: /health needs no credential, so anybody may call it in a loop."""

    def __init__(self, ports: Ports, check_every_s: float = CHECK_EVERY_S) -> None:
        self.ports = ports
        self._check_every_s = check_every_s
        self._lock = threading.Lock()
        self._parts = ComponentHealth(database=False, redis=False)
        self._checked_at = float("-inf")

    def check(self) -> ComponentHealth:
        """Which parts answered last. Callers that arrive during a check wait for its result."""
        with self._lock:
            if time.monotonic() - self._checked_at >= self._check_every_s:
                self._parts = ComponentHealth(self._database(), self.ports.bus.is_available())
                self._checked_at = time.monotonic()
            return self._parts

    def _database(self) -> bool:
        try:
            self.ports.database.read(clock.now)
        except Unavailable:
            return False
        return True
