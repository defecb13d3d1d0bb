"""All simulated extensions of a run."""

from __future__ import annotations

import math
import threading
from collections import Counter
from collections.abc import Sequence

from tests.chaos.extension import Simulated
from tests.chaos.history import Records
from tests.chaos.host import ImageHost
from tests.chaos.plan import Plan, Turn


class Fleet:
    """Starts them, and tells each what the plan has it do with a request that it is given."""

    def __init__(
        self,
        plan: Plan,
        sockets: Sequence[str],
        host: ImageHost,
        records: Records,
        silence_s: float = math.inf,
    ) -> None:
        self._plan = plan
        self._offered: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._members = [Simulated(member, sockets, host, records, self._turn_of, silence_s) for member in plan.members]

    def start(self) -> None:
        """Have all of them connect."""
        for member in self._members:
            member.start()

    def stop(self) -> None:
        """Have all of them leave."""
        for member in self._members:
            member.stop()
        for member in self._members:
            member.join(10)

    @property
    def broken(self) -> list[str]:
        """Names of those that have ended by a mistake of their own."""
        return [member.name for member in self._members if not member.is_alive()]

    def _turn_of(self, request_id: str, order: int) -> Turn:
        with self._lock:
            nth = self._offered[request_id]
            self._offered[request_id] += 1
        return self._plan.orders[order].turn(nth)
