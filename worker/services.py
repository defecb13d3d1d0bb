"""The services of a pool process."""

import gc
from functools import cache

from app.config import Settings
from app.container import Services, build, real_ports


@cache
def services() -> Services:
    """This process's services, built at its first task: no connection may be shared with the parent process.

    The garbage collector is frozen, so that it does not examine long-lived objects again while a hand-off waits.
    """
    built = build(real_ports(Settings.from_env()))
    gc.collect()
    gc.freeze()
    return built
