"""The services, once for each process of the pool."""

from __future__ import annotations

import gc
from functools import cache

from app.config import Settings
from app.container import Services, build, real_ports


@cache
def services() -> Services:
    """This process's services. Built at its first task, so that no connection is shared with the process it was forked from.

    What is loaded by then stays loaded: the garbage collector need not look through it again while a hand-off waits.
    """
    built = build(real_ports(Settings.from_env()))
    gc.collect()
    gc.freeze()
    return built
