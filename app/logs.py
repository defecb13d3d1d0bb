"""Logs on standard error, with an `action` and the correlation id in each line: JSON, or text on a terminal.

The application's loggers are structlog's and write directly, because every request is logged. Records of libraries, which
use the standard library's `logging`, pass through the same processors.
"""

import logging
import math
import re
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from structlog.contextvars import bound_contextvars, get_contextvars
from structlog.stdlib import ProcessorFormatter
from structlog.typing import EventDict, Processor, WrappedLogger

CORRELATION_ID = re.compile(r"[A-Za-z0-9._-]{8,128}")
# At any LOG_LEVEL: what these libraries log below warnings is of no use, or contains what they send and receive.
WARNINGS_ONLY = (
    *("kombu", "amqp", "alembic", "billiard", "celery.utils.functional", "flask-limiter", "limits", "redis"),
    *("requests", "werkzeug", "websocket", "wsproto", "h11", "jwt", "PIL", "psycopg", "sqlalchemy", "asyncio"),
    *("boto3", "botocore", "s3transfer"),
)
# Its warnings contain whole URLs, whose query may hold a signature, and headers as they were received.
SILENT = ("urllib3",)
# In the texts of libraries: a user and password or a query in a URL, and a credential in a header.
_SECRETS = (
    (re.compile(r"(\w://)[^\s/?#@]+@"), r"\1***@"),
    (re.compile(r"(/[^\s?'\"]*)\?[^\s'\"]+"), r"\1?***"),
    (re.compile(r"(?i)\b(bearer|basic|token\.)(\s+|(?<=\.))[^\s'\",]+"), r"\1 ***"),
    (re.compile(r"(?i)\b(cookie|authorization|x-api-key)(['\"]?\s*[:=]\s*)[^\r\n]+"), r"\1\2***"),
)


def configure(level: str, log_format: str = "auto") -> None:
    """Configure all logging of this process, including that of libraries.

    `level` is a LOG_LEVEL and `log_format` a LOG_FORMAT: auto means text if standard error is a terminal, JSON otherwise.
    """
    as_text = log_format == "text" or (log_format == "auto" and sys.stderr.isatty())
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(*(("%Y-%m-%d %H:%M:%S", False) if as_text else ("iso", True))),
    ]
    rendering: list[Processor] = [
        structlog.processors.format_exc_info,
        _plain_values,
        *(_text_renderers() if as_text else _JSON_RENDERERS),
    ]
    structlog.configure(
        processors=[*shared, *rendering],
        wrapper_class=structlog.make_filtering_bound_logger(level.upper()),
        logger_factory=_NamedLogger,
    )
    _configure_libraries(level.upper(), shared, rendering)


def get(name: str) -> structlog.typing.FilteringBoundLogger:
    """The logger of a module. Use it as `log.info("A sentence", action="assign", request_id=…)`."""
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger(name)
    return logger


def well_formed(text: str | None) -> bool:
    """True for a valid correlation id: 8 to 128 letters, digits and . _ -"""
    return text is not None and CORRELATION_ID.fullmatch(text) is not None


def correlation_id() -> str | None:
    """The correlation id of the current context."""
    return get_contextvars().get("correlation_id")


@contextmanager
def correlated(correlation_id: str | None) -> Iterator[None]:
    """Add this correlation id to the log lines in this context; None keeps the current one."""
    with bound_contextvars(**({"correlation_id": correlation_id} if correlation_id else {})):
        yield


class _NamedLogger(structlog.WriteLogger):
    """structlog's line writer with the attribute that `add_logger_name` reads."""

    def __init__(self, name: str) -> None:
        super().__init__(sys.stderr)
        self.name = name


def _configure_libraries(level: str, shared: list[Processor], rendering: list[Processor]) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(_repair_message)
    handler.setFormatter(
        ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder(), _mask_secrets],
            processors=[ProcessorFormatter.remove_processors_meta, *rendering],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in WARNINGS_ONLY:
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in SILENT:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)


def _repair_message(record: logging.LogRecord) -> bool:
    """Repair a record whose arguments do not match its format: `logging` would print a traceback of several lines."""
    try:
        record.getMessage()
    except Exception:  # noqa: BLE001 - formatting calls foreign code
        record.msg, record.args = f"{record.msg} {_plain(record.args)}", None
    return True


def _mask_secrets(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Remove what looks like a secret from the texts of a library's record."""
    return {name: _masked(value) if isinstance(value, str) else value for name, value in event.items()}


def _masked(text: str) -> str:
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return text


def _plain_values(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Convert values to what every renderer supports: JSON has no NaN and no cycles, and a repr may raise."""
    return {name: _plain(value) for name, value in event.items()}


def _plain(value: object) -> object:
    if value is None or isinstance(value, str | int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    try:
        return repr(value)
    except Exception:  # noqa: BLE001 - a repr is foreign code
        return f"<{type(value).__name__}>"


_JSON_RENDERERS: list[Processor] = [structlog.processors.EventRenamer("message"), structlog.processors.JSONRenderer()]


def _text_renderers() -> list[Processor]:
    renderer = structlog.dev.ConsoleRenderer(
        colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
    )
    return [_escape_control_characters, renderer]


def _escape_control_characters(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Keep values from starting a new line or controlling the terminal, and indent the lines of a traceback."""
    exception = event.pop("exception", None)
    safe: EventDict = {name: _escaped(value) if isinstance(value, str) else value for name, value in event.items()}
    if exception is not None:
        safe["exception"] = textwrap.indent("\n".join(map(_escaped, str(exception).split("\n"))), "    ")
    return safe


def _escaped(text: str) -> str:
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
