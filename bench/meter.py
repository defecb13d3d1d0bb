"""CPU time and memory of processes, by name. CPU is the kernel's own count in ns, not its ticks of 10 ms."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import psutil

Groups = Mapping[str, list[int]]
CPU_CLOCK_OF_A_PROCESS = 2


def cpu_s(pid: int) -> float:
    """CPU seconds that the process has used so far, all its threads together. Raises OSError where it is gone."""
    return time.clock_gettime((~pid << 3) | CPU_CLOCK_OF_A_PROCESS)


def tree(pid: int) -> list[int]:
    """The process and its descendants; empty if it has ended."""
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        return [process.pid, *(child.pid for child in process.children(recursive=True))]
    return []


def resident(pids: list[int]) -> int:
    """The unique memory (USS) of all processes together, in bytes."""
    return sum(int(psutil.Process(pid).memory_full_info().uss) for pid in pids)


def peak_resident(pid: int) -> int:
    """The peak resident memory of the process since `forget_peak`, in bytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise LookupError(f"the system does not report the peak memory of process {pid}")


def forget_peak(pid: int) -> int:
    """Reset the peak; returns the current resident memory."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")
    return peak_resident(pid)


class Meter:
    """Reads how much CPU groups of processes use between two moments."""

    def __init__(self, groups: Callable[[], Groups]) -> None:
        self._groups = groups
        self._before: dict[tuple[str, int], float] = {}

    def start(self) -> None:
        """Start counting."""
        self._before = self._now()

    def used(self) -> dict[str, float]:
        """CPU seconds of each group since `start`; a process that has ended meanwhile is not counted."""
        now = self._now()
        result = dict.fromkeys({name for name, _ in now}, 0.0)
        for (name, pid), used in now.items():
            result[name] += used - self._before.get((name, pid), 0.0)
        return result

    def _now(self) -> dict[tuple[str, int], float]:
        found = {}
        for name, pids in self._groups().items():
            for pid in pids:
                with contextlib.suppress(OSError):
                    found[name, pid] = cpu_s(pid)
        return found
