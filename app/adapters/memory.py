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
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    ceiling = _mapped_bytes() + extra_bytes
    if not _STATM.exists() or ceiling >= _unlimited_as_huge(soft):
        yield
        return
    resource.setrlimit(resource.RLIMIT_AS, (ceiling, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _mapped_bytes() -> int:
    if not _STATM.exists():
        return 0
    return int(_STATM.read_text().split()[0]) * resource.getpagesize()


def _unlimited_as_huge(limit: int) -> int:
    return 2**63 if limit == resource.RLIM_INFINITY else limit
