"""The services of a process that runs tasks."""

import gc
import threading
from functools import cache

from app.config import Settings
from app.container import Services, build, real_ports

_lock = threading.Lock()


def services() -> Services:
    """This process's services, built at its first task: no connection may be shared with the parent process."""
    with _lock:
        return _built()


@cache
def _built() -> Services:
    """The garbage collector is frozen, so that it does not examine long-lived objects again while a hand-off waits."""
    built = build(real_ports(Settings.from_env()))
    gc.collect()
    gc.freeze()
    return built
