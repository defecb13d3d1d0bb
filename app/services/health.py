"""Whether the database and Redis answer, and whether pictures can be stored."""

from dataclasses import dataclass

from app.db import clock
from app.domain.errors import Unavailable
from app.domain.images import PictureError
from app.services.ports import Ports
from app.services.shared_checks import SharedCheck, run_together

CHECK_EVERY_S = 1.0
WITHIN_S = 5.0  # what has not answered until then counts as unavailable


@dataclass(frozen=True, slots=True)
class ComponentHealth:
    """Which components work. Without the database or the storage no request is accepted; accepted requests wait for Redis and
    the storage."""

    database: bool
    redis: bool
    storage: bool


class Health:
    """Checks at most once per `check_every_s`: /health needs no credential, so anyone may call it in a loop."""

    def __init__(self, ports: Ports, check_every_s: float = CHECK_EVERY_S, within_s: float = WITHIN_S) -> None:
        self.ports = ports
        self._within_s = within_s
        self._shared = SharedCheck(self._check, check_every_s)

    def check(self) -> ComponentHealth:
        """The result of the last check. Callers that arrive during a check wait for its result."""
        return self._shared.result()

    def _check(self) -> ComponentHealth:
        checks = {"database": self._database, "redis": self.ports.bus.is_available, "storage": self._storage}
        found = run_together(checks, self._within_s)
        for problem in found.values():
            if isinstance(problem, Exception) and not isinstance(problem, TimeoutError):
                raise problem
        return ComponentHealth(**{name: answer is True for name, answer in found.items()})

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
