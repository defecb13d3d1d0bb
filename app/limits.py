"""Limits on requests, waiting requests and sockets: settings, read once. 0 switches a limit off."""

from dataclasses import dataclass

from app.environment import Environment, setting

ADDRESS_SHARE = 5  # how many users' requests one address may send where callers do not authenticate


def _requests(env: Environment) -> int:
    return env.whole("RATE_LIMIT_MAX_REQUESTS", 10, 0, 1_000_000)


def _requests_per_address(env: Environment) -> int:
    return env.whole("RATE_LIMIT_PER_ADDRESS", ADDRESS_SHARE * _requests(env), 0, 10_000_000)


@dataclass(frozen=True, slots=True)
class Limits:
    """Units are in the names: `_ms` milliseconds, `_bytes` bytes, `_per_s` a second."""

    rate_window_ms: int = setting(Environment.whole, "RATE_LIMIT_WINDOW_MS", 60_000, 100, 86_400_000)
    rate_requests: int = setting(_requests)
    rate_burst: int = setting(Environment.whole, "RATE_LIMIT_BURST", 20, 1, 1_000_000)
    rate_per_address: int = setting(_requests_per_address)
    rate_global: int = setting(Environment.whole, "RATE_LIMIT_GLOBAL", 600, 0, 10_000_000)
    quota_waiting: int = setting(Environment.whole, "QUOTA_WAITING", 1_000, 0)
    quota_batch_items: int = setting(Environment.whole, "QUOTA_BATCH_ITEMS", 20_000, 0)
    quota_per_day: int = setting(Environment.whole, "QUOTA_PER_DAY", 0, 0)
    quota_stored_bytes: int = setting(Environment.whole, "QUOTA_STORED_BYTES", 0, 0)
    quota_inputs: int = setting(Environment.whole, "QUOTA_INPUTS", 100, 0)
    auth_failures: int = setting(Environment.whole, "MAX_AUTH_FAILURES", 20, 0, 1_000_000)
    max_sockets: int = setting(Environment.whole, "MAX_SOCKETS", 10_000, 0)
    max_sockets_per_address: int = setting(Environment.whole, "MAX_SOCKETS_PER_ADDRESS", 1_000, 0)
    max_unauthenticated_sockets: int = setting(Environment.whole, "MAX_UNAUTHENTICATED_SOCKETS", 500, 0)
    socket_messages_per_s: int = setting(Environment.whole, "MAX_SOCKET_MESSAGES_PER_S", 100, 0, 1_000_000)
    socket_bytes_per_s: int = setting(Environment.whole, "MAX_SOCKET_BYTES_PER_S", 2_097_152, 0)
    max_bad_messages: int = setting(Environment.whole, "MAX_BAD_MESSAGES", 20, 0)
