"""Disks that fail."""

from __future__ import annotations

import errno
import os
from typing import Any

import pytest


def read_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse to create files, as a disk that was mounted again read-only after an error."""
    opened: Any = os.open

    def refusing(path: Any, flags: int, *args: Any, **options: Any) -> int:
        if flags & os.O_CREAT:
            raise OSError(errno.EROFS, "Read-only file system")
        return int(opened(path, flags, *args, **options))

    monkeypatch.setattr(os, "open", refusing)
