"""What a process writes to its log, captured."""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Iterator

import structlog

from app import logs


@contextlib.contextmanager
def written(level: str = "info", log_format: str = "auto", to: io.StringIO | None = None) -> Iterator[io.StringIO]:
    """Configure the logs of a process inside the block; yields what is written."""
    root = logging.getLogger()
    handlers, before = root.handlers[:], root.level
    structlog.reset_defaults()
    with contextlib.redirect_stderr(to or io.StringIO()) as stderr:
        logs.configure(level, log_format)
        yield stderr
    root.handlers[:] = handlers
    root.setLevel(before)
    structlog.reset_defaults()
