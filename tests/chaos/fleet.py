"""All simulated extensions of a run."""

from __future__ import annotations

import math
import threading
from collections import Counter
from collections.abc import Sequence

from tests.chaos.extension import SimulatedExtension
from tests.chaos.history import Records
from tests.chaos.host import ImageHost
from tests.chaos.plan import AttemptPlan, Plan


class Fleet:
    """Starts the extensions, and looks up in the plan what each does with an offered request."""

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
        self._extensions = [
            SimulatedExtension(extension, sockets, host, records, self._plan_of, silence_s)
            for extension in plan.extensions
        ]

    def start(self) -> None:
        """Connect all extensions."""
        for extension in self._extensions:
            extension.start()

    def stop(self) -> None:
        """Disconnect all extensions."""
        for extension in self._extensions:
            extension.stop()
        for extension in self._extensions:
            extension.join(10)

    @property
    def broken(self) -> list[str]:
        """The names of extensions whose thread has crashed."""
        return [extension.name for extension in self._extensions if not extension.is_alive()]

    def _plan_of(self, request_id: str, number: int) -> AttemptPlan:
        with self._lock:
            nth = self._offered[request_id]
            self._offered[request_id] += 1
        return self._plan.request(number).attempt(nth)
