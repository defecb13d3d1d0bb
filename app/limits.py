"""Limits on requests, waiting requests and sockets: settings, read once. 0 switches a limit off."""

from __future__ import annotations

from dataclasses import dataclass

from app.environment import Environment

ADDRESS_SHARE = 5  # how many users' requests one address may send where callers do not authenticate


@dataclass(frozen=True, slots=True)
class Limits:
    """Units are in the names: `_ms` milliseconds, `_bytes` bytes, `_per_s` a second."""

    rate_window_ms: int
    rate_requests: int
    rate_burst: int
    rate_per_address: int
    rate_global: int
    quota_waiting: int
    quota_per_day: int
    quota_stored_bytes: int
    auth_failures: int
    max_sockets: int
    max_sockets_per_address: int
    max_unauthenticated_sockets: int
    socket_messages_per_s: int
    socket_bytes_per_s: int
    max_bad_messages: int

    @classmethod
    def read(cls, read: Environment) -> Limits:
        """As the environment has them. Raises BadSetting."""
        requests = read.whole("RATE_LIMIT_MAX_REQUESTS", 10, 0, 1_000_000)
        return cls(
            rate_window_ms=read.whole("RATE_LIMIT_WINDOW_MS", 60_000, 100, 86_400_000),
            rate_requests=requests,
            rate_burst=read.whole("RATE_LIMIT_BURST", 20, 1, 1_000_000),
            rate_per_address=read.whole("RATE_LIMIT_PER_ADDRESS", ADDRESS_SHARE * requests, 0, 10_000_000),
            rate_global=read.whole("RATE_LIMIT_GLOBAL", 600, 0, 10_000_000),
            quota_waiting=read.whole("QUOTA_WAITING", 1_000, 0),
            quota_per_day=read.whole("QUOTA_PER_DAY", 0, 0),
            quota_stored_bytes=read.whole("QUOTA_STORED_BYTES", 0, 0),
            auth_failures=read.whole("MAX_AUTH_FAILURES", 20, 0, 1_000_000),
            max_sockets=read.whole("MAX_SOCKETS", 10_000, 0),
            max_sockets_per_address=read.whole("MAX_SOCKETS_PER_ADDRESS", 1_000, 0),
            max_unauthenticated_sockets=read.whole("MAX_UNAUTHENTICATED_SOCKETS", 500, 0),
            socket_messages_per_s=read.whole("MAX_SOCKET_MESSAGES_PER_S", 100, 0, 1_000_000),
            socket_bytes_per_s=read.whole("MAX_SOCKET_BYTES_PER_S", 2_097_152, 0),
            max_bad_messages=read.whole("MAX_BAD_MESSAGES", 20, 0),
        )
