"""A rate limit outside Flask's views, counted in the same buckets as Flask-Limiter's: shared in Redis, else by this process."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

import redis
from limits import RateLimitItem
from limits.storage import MemoryStorage, RedisStorage

from app import logs
from app.adapters.token_bucket import TokenBucketRateLimiter, shared_storage_options, wait_s

RETRY_S = 1.0

T = TypeVar("T")
log = logs.get(__name__)


class RateLimit:
    """One token bucket for each name. While Redis is away each process counts for itself and tries Redis once a second."""

    def __init__(self, item: RateLimitItem, redis_url: str, clock_s: Callable[[], float] = time.monotonic) -> None:
        options = shared_storage_options(redis_url)
        self._item = item
        self._shared = TokenBucketRateLimiter(RedisStorage("redis://", **options))  # type: ignore[arg-type]
        self._own = TokenBucketRateLimiter(MemoryStorage())
        self._clock_s = clock_s
        self._away = False
        self._retry_at = 0.0

    def hit(self, name: str) -> bool:
        """Take a token of this name's bucket; False where there is none."""
        return self._run(lambda limiter: limiter.hit(self._item, name))

    def wait_s(self, name: str) -> int:
        """Whole seconds until there is a token; 0 where there is one."""
        stats = self._run(lambda limiter: limiter.get_window_stats(self._item, name))
        return 0 if stats.remaining else wait_s(self._item, stats)

    def _run(self, query: Callable[[TokenBucketRateLimiter], T]) -> T:
        if self._away and self._clock_s() < self._retry_at:
            return query(self._own)
        self._retry_at = self._clock_s() + RETRY_S  # before the attempt: while one caller waits, others need not
        try:
            result = query(self._shared)
        except redis.RedisError as error:
            self._fall_back(error)
            return query(self._own)
        self._recover()
        return result

    def _fall_back(self, error: redis.RedisError) -> None:
        if not self._away:
            log.warning("Redis is away: this process counts by itself", action="limits.own", problem=str(error))
        self._away, self._retry_at = True, self._clock_s() + RETRY_S

    def _recover(self) -> None:
        if self._away:
            log.info("Redis is back: limits are shared again", action="limits.shared")
        self._away = False
