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


def process_memory() -> dict[str, int]:
    """This process's memory in bytes: `rss` resident, `heap_total` private memory asked for, `heap_used` resident of it.

    From Linux's own account; elsewhere all three are the peak of what was resident.
    """
    status = Path("/proc/self/status")
    if not status.exists():
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return {"rss": peak, "heap_total": peak, "heap_used": peak}
    lines = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
    fields = {"rss": "VmRSS", "heap_total": "VmData", "heap_used": "RssAnon"}
    return {name: int(lines[field].split()[0]) * 1024 for name, field in fields.items()}
