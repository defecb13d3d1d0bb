"""Whether the database and Redis answer, and whether pictures can be stored."""

import threading
import time
from dataclasses import dataclass

from app.db import clock
from app.domain.errors import Unavailable
from app.domain.images import PictureError
from app.services.ports import Ports

CHECK_EVERY_S = 1.0


@dataclass(frozen=True, slots=True)
class ComponentHealth:
    """Which components work. Without the database or the storage no request is accepted; accepted requests wait for Redis and
    the storage."""

    database: bool
    redis: bool
    storage: bool


class Health:
    """Checks at most once per `check_every_s`: /health needs no credential, so anyone may call it in a loop."""

    def __init__(self, ports: Ports, check_every_s: float = CHECK_EVERY_S) -> None:
        self.ports = ports
        self._check_every_s = check_every_s
        self._lock = threading.Lock()
        self._parts = ComponentHealth(database=False, redis=False, storage=False)
        self._checked_at = float("-inf")

    def check(self) -> ComponentHealth:
        """The result of the last check. Callers that arrive during a check wait for its result."""
        with self._lock:
            if time.monotonic() - self._checked_at >= self._check_every_s:
                self._parts = ComponentHealth(self._database(), self.ports.bus.is_available(), self._storage())
                self._checked_at = time.monotonic()
            return self._parts

    def _database(self) -> bool:
        try:
            self.ports.database.read(clock.now)
        except Unavailable:
            return False
        return True

    def _storage(self) -> bool:
        try:
            self.ports.store.check()
        except PictureError:
            return False
        return True
