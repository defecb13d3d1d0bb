"""Logs: one JSON object a line on standard error, each with what happened (`action`) and the correlation id."""

from __future__ import annotations

import json
import logging
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from typing import Any

import structlog
from structlog.typing import EventDict, WrappedLogger

_ENCODER = json.JSONEncoder(allow_nan=False, default=repr)
CORRELATION_ID = re.compile(r"[A-Za-z0-9._-]{8,128}")

correlation_id: ContextVar[str | None] = ContextVar("correlation_id", default=None)


@contextmanager
def about(told: str | None) -> Iterator[None]:
    """Lines that are written inside carry this correlation id."""
    token = correlation_id.set(told)
    try:
        yield
    finally:
        correlation_id.reset(token)


def well_formed(text: str | None) -> bool:
    """True for a correlation id that is honoured: 8 to 128 letters, digits and . _ -"""
    return text is not None and CORRELATION_ID.fullmatch(text) is not None


def configure(level: str) -> None:
    """Have every log of this process, our own and those of libraries, in one form. `level` as in LOG_LEVEL.

    Ours are written as they are, not through the standard library's loggers: there is one for each request.
    """
    shared: list[Any] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        _with_time_and_correlation_id,
    ]
    rendered: list[Any] = [
        structlog.processors.format_exc_info,
        structlog.processors.EventRenamer("message"),
        structlog.processors.JSONRenderer(serializer=_as_json),
    ]
    structlog.configure(
        processors=[*shared, *rendered],
        wrapper_class=structlog.make_filtering_bound_logger(level.upper()),
        logger_factory=_Lines,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        _Formatter(
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder()],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendered],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for noisy in ("kombu", "amqp", "alembic", "celery.utils.functional"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def get(name: str) -> structlog.stdlib.BoundLogger:
    """The logger of a file; call it as `log.info("a sentence", action="assign", request_id=…)`."""
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return logger


class _Lines:
    """What writes the lines of the logger of this name."""

    def __init__(self, name: str) -> None:
        self.name = name

    @staticmethod
    def _write(line: str) -> None:
        sys.stderr.write(f"{line}\n")

    debug = info = warning = error = critical = _write


class _Formatter(structlog.stdlib.ProcessorFormatter):
    def format(self, record: logging.LogRecord) -> str:
        if record.args:
            try:
                record.getMessage()
            except Exception:  # noqa: BLE001 - logging would complain in lines of its own, which are no JSON
                record.msg, record.args = f"{_shown(record.msg)} {_shown(record.args)}", None
        return super().format(record)


def _as_json(event: EventDict, **_: object) -> str:
    """ASCII on one line, whatever was said; what JSON does not have is shown as Python would."""
    try:
        return _ENCODER.encode(event)
    except Exception:  # noqa: BLE001 - reprs are other people's code
        return json.dumps({str(name): _shown(value) for name, value in event.items()}, allow_nan=False)


def _shown(value: object) -> str | int | None:
    if value is None or isinstance(value, str | int):
        return value
    try:
        return repr(value)
    except Exception:  # noqa: BLE001 - as above
        return f"<{type(value).__name__}>"


@lru_cache(2)
def _second(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


def _with_time_and_correlation_id(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    seconds, us = divmod(time.time_ns() // 1000, 1_000_000)
    event["timestamp"] = f"{_second(seconds)}.{us:06d}Z"
    known = correlation_id.get()
    if known is not None:
        event.setdefault("correlation_id", known)
    return event
