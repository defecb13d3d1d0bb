"""The memory of this process: a limit on it, and its size."""

import contextlib
import resource
from collections.abc import Iterator
from pathlib import Path

_STATM = Path("/proc/self/statm")


@contextlib.contextmanager
def limited_memory(extra_bytes: int) -> Iterator[None]:
    """In this context, the process may map `extra_bytes` more than now; beyond that, allocations raise MemoryError.

    The limit applies to all threads, so use it in processes that do one thing at a time. It is set on Linux only.
    """
    if not _STATM.exists():
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    present = [limit for limit in (soft, hard) if limit != resource.RLIM_INFINITY]
    resource.setrlimit(resource.RLIMIT_AS, (min([_mapped_bytes() + extra_bytes, *present]), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _mapped_bytes() -> int:
    return int(_STATM.read_text().split()[0]) * resource.getpagesize()


def process_memory() -> dict[str, int]:
    """This process's memory in bytes: `rss` resident, `heap_total` private, `heap_used` the resident part of that.

    Without /proc (not Linux), all three are the peak of the resident memory.
    """
    status = Path("/proc/self/status")
    if not status.exists():
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return {"rss": peak, "heap_total": peak, "heap_used": peak}
    lines = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
    fields = {"rss": "VmRSS", "heap_total": "VmData", "heap_used": "RssAnon"}
    return {name: int(lines[field].split()[0]) * 1024 for name, field in fields.items()}
