"""Clients of Redis with limits that fit: nothing is sent twice, nothing waits for ever."""

from __future__ import annotations

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry


def redis_client(url: str, timeout_s: float = 1.0) -> redis.Redis:
    """A client whose every command ends within `timeout_s`, done or failed.

    redis-py's own retries are off: it sends a command again after a time-out, though the first may have been carried out.
    """
    return redis.Redis.from_url(
        url,
        decode_responses=True,
        max_connections=200,
        socket_connect_timeout=timeout_s,
        socket_timeout=timeout_s,
        retry=Retry(NoBackoff(), 0),
    )
