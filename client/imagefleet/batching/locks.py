"""A lock that two programs cannot hold at once, and that the operating system lets go of when its holder ends."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

if sys.platform == "win32":
    import msvcrt

    def _lock(file: BinaryIO) -> None:
        file.seek(1_000)  # behind the text: what is locked cannot be read there
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _lock(file: BinaryIO) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


class Taken(Exception):
    """Another program holds the lock; `holder` is its process id if it is known."""

    def __init__(self, holder: str) -> None:
        super().__init__(holder)
        self.holder = holder


class FileLock:
    """Holds the lock of a file from when it is made until `release`. Raises Taken, OSError."""

    def __init__(self, path: Path) -> None:
        self._file: BinaryIO = path.open("a+b")
        try:
            _lock(self._file)
        except (BlockingIOError, PermissionError):
            holder = _holder(self._file)
            self._file.close()
            raise Taken(holder) from None
        except OSError:  # a file system without locks
            pass
        with suppress(OSError):  # only for the message above
            self._file.truncate(0)
            self._file.write(str(os.getpid()).encode())
            self._file.flush()

    def release(self) -> None:
        """Let go of it."""
        self._file.close()


def _holder(file: BinaryIO) -> str:
    with suppress(OSError):
        file.seek(0)
        text = file.read(20).decode("ascii", "ignore").strip()
        if text.isdigit():
            return text
    return ""
