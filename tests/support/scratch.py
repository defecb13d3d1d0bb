"""Where tests keep their files: in memory if there is enough of it. They make thousands of databases, whose commits would wait
for the disk."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

MEMORY = Path("/dev/shm")
ENOUGH_BYTES = 6 * 1024**3


def use_memory() -> None:
    """Make this process, and those that it starts, keep temporary files in memory, unless TMPDIR says where."""
    if "TMPDIR" not in os.environ and _is_large_enough() and _may_hold_programs():
        os.environ["TMPDIR"] = str(MEMORY)
        tempfile.tempdir = None  # find it anew


def _is_large_enough() -> bool:
    return os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ENOUGH_BYTES


def _may_hold_programs() -> bool:
    return not os.statvfs(MEMORY).f_flag & os.ST_NOEXEC
