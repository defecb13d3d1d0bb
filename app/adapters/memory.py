"""A ceiling on memory while bytes from outside are decoded."""

from __future__ import annotations

import contextlib
import resource
from collections.abc import Iterator
from pathlib import Path

_STATM = Path("/proc/self/statm")


@contextlib.contextmanager
def limited_memory(extra_bytes: int) -> Iterator[None]:
    """While inside, this process may map `extra_bytes` more than it has now; beyond that comes MemoryError.

    It holds for all threads of the process, so it is for processes that do one thing at a time. Where the system does
    not say how much is mapped (it is not Linux), nothing is limited.
    """
    if not _STATM.exists():
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    bounds = [limit for limit in (soft, hard) if limit != resource.RLIM_INFINITY]
    ceiling = min([_mapped_bytes() + extra_bytes, *bounds])
    resource.setrlimit(resource.RLIMIT_AS, (ceiling, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _mapped_bytes() -> int:
    return int(_STATM.read_text().split()[0]) * resource.getpagesize()
