"""Clients of Redis with bounded waits: no command is sent twice, and none waits for ever."""

from __future__ import annotations

from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from redis.sentinel import Sentinel

from app.sentinels import Sentinels

# Answers are short, and whoever reads more at once is given as much memory each time.
READ_BYTES = 4096


def redis_client(url: str, timeout_s: float = 1.0) -> redis.Redis:
    """A client whose every command ends within `timeout_s`, done or failed. Where sentinels are asked first, each of them
    has as long again."""
    return _client(url, connect_s=timeout_s, answer_s=timeout_s, max_connections=200)


def blocking_client(url: str, connect_s: float) -> redis.Redis:
    """A client whose reads have no time-out of their own: each read of a subscription names one."""
    return _client(url, connect_s=connect_s, answer_s=None)


def _client(url: str, *, connect_s: float, answer_s: float | None, **more: Any) -> redis.Redis:
    """redis-py's own retries are off: it sends a command again after a time-out, though the first may have been carried
    out. With sentinels each new connection goes to whom they name as the master then."""
    retry = Retry(NoBackoff(), 0)
    options = {
        "decode_responses": True,
        "socket_connect_timeout": connect_s,
        "socket_timeout": answer_s,
        "socket_read_size": READ_BYTES,
        "retry": retry,
        **more,
    }
    known = Sentinels.parse(url)
    if known is None:
        return redis.Redis.from_url(url, **options)
    asking = {"socket_connect_timeout": connect_s, "socket_timeout": connect_s, "retry": retry, **known.credentials}
    sentinel = Sentinel(known.addresses, sentinel_kwargs=asking)  # type: ignore[no-untyped-call]
    client: redis.Redis = sentinel.master_for(known.master, **known.credentials, **options)  # type: ignore[no-untyped-call]
    return client
