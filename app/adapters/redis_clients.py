"""Redis clients with time-outs and without retries."""

from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from redis.sentinel import Sentinel

from app.sentinels import Sentinels

# Replies are short, and each read allocates this much memory.
READ_BYTES = 4096


def redis_client(url: str, timeout_s: float = 1.0) -> redis.Redis:
    """A client whose commands succeed or fail within `timeout_s`. Each sentinel that is queried first may take as long."""
    return _client(url, connect_s=timeout_s, answer_s=timeout_s, max_connections=200)


def blocking_client(url: str, connect_s: float) -> redis.Redis:
    """A client without a read time-out, for subscriptions, whose reads have their own."""
    return _client(url, connect_s=connect_s, answer_s=None)


def _client(url: str, *, connect_s: float, answer_s: float | None, **more: Any) -> redis.Redis:
    """Without redis-py's retries, which send a command again after a time-out although Redis may have executed it.

    With sentinels, each new connection is made to the current master.
    """
    timeouts = {"socket_connect_timeout": connect_s, "socket_timeout": answer_s, "retry": Retry(NoBackoff(), 0)}
    options = {**timeouts, "decode_responses": True, "socket_read_size": READ_BYTES, **more}
    sentinels = Sentinels.parse(url)
    if sentinels is None:
        return redis.Redis.from_url(url, **options)
    queries = {**timeouts, "socket_timeout": connect_s, **sentinels.credentials}
    sentinel = Sentinel(sentinels.addresses, sentinel_kwargs=queries)  # type: ignore[no-untyped-call]
    client: redis.Redis = sentinel.master_for(sentinels.master, **sentinels.credentials, **options)  # type: ignore[no-untyped-call]
    return client
