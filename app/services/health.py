"""Whether the parts that this process depends on answer."""

from __future__ import annotations

from dataclasses import dataclass

from app.db import clock
from app.domain.errors import Unavailable
from app.services.ports import Ports


@dataclass(frozen=True, slots=True)
class Parts:
    """Without the database nothing is accepted; without Redis what is accepted waits until it is back."""

    database: bool
    redis: bool


class Health:
    """Asks the parts, each for a short while."""

    def __init__(self, ports: Ports) -> None:
        self.ports = ports

    def check(self) -> Parts:
        """Which parts answer at the moment."""
        return Parts(self._database(), self.ports.bus.is_available())

    def _database(self) -> bool:
        try:
            self.ports.database.read(clock.now)
        except Unavailable:
            return False
        return True
