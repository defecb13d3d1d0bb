"""`python -m bench.load.sweeper`: repeated sweeps in their own process."""

from __future__ import annotations

import time
from typing import Any

from app.config import Settings
from app.container import build, real_ports
from bench.load.loop import Loop, run_commands


def main() -> None:
    """Execute commands until stdin ends."""
    services = build(real_ports(Settings.from_env()))

    def sweep(count: int) -> dict[str, Any]:
        cpu, begun = time.process_time(), time.perf_counter()
        for _ in range(count):
            services.housekeeping.sweep()
        return {"cpu": time.process_time() - cpu, "seconds": time.perf_counter() - begun, "count": count}

    run_commands(Loop(), {"sweep": sweep})


if __name__ == "__main__":
    main()
