"""Fetches files from servers on this machine into memory."""

from __future__ import annotations

import io
import ipaddress
from collections.abc import Callable
from typing import Any

from app.adapters.http import Fetcher
from app.network_settings import Allowlist
from tests.support.exchange import Behaviour

LOCAL = Allowlist(networks=(ipaddress.ip_network("127.0.0.0/8"),))
JUST_BEFORE = 1705233600.0  # 2024-01-14T12:00:00Z
LONG_MS = 60_000  # never reached: a hang would exceed the time limit of the test
SHORT_MS = 300


def fetch(
    url: str, *, allow: Allowlist = LOCAL, max_bytes: int = 1_000_000, timeout_ms: int = LONG_MS, **options: Any
) -> bytes:
    """The content of the file at `url`."""
    into = io.BytesIO()
    Fetcher(allow, now=lambda: JUST_BEFORE, **options).fetch(url, into=into, max_bytes=max_bytes, timeout_ms=timeout_ms)
    return into.getvalue()


def redirecting(to: str) -> Behaviour:
    """Redirect to `to`."""
    return lambda exchange: exchange.redirect(to)


def resolving(*answers: str) -> Callable[[str, int], list[str]]:
    """A resolver that always returns these addresses."""
    return lambda host, port: list(answers)
