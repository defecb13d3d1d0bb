"""A rate limit outside Flask's views, with the storage of Flask-Limiter's: shared in Redis, else in this process."""

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
    """One token bucket for each name. While Redis is unavailable, each process counts alone and retries every second."""

    def __init__(self, item: RateLimitItem, redis_url: str, clock_s: Callable[[], float] = time.monotonic) -> None:
        options = shared_storage_options(redis_url)
        self._item = item
        self._shared = TokenBucketRateLimiter(RedisStorage("redis://", **options))  # type: ignore[arg-type]
        self._local = TokenBucketRateLimiter(MemoryStorage())
        self._clock_s = clock_s
        self._is_local = False
        self._retry_at = 0.0

    def hit(self, name: str) -> bool:
        """Take a token from the bucket of `name`; False if it is empty."""
        return self._run(lambda limiter: limiter.hit(self._item, name))

    def wait_s(self, name: str) -> int:
        """Whole seconds until the bucket has a token; 0 if it has one."""
        stats = self._run(lambda limiter: limiter.get_window_stats(self._item, name))
        return 0 if stats.remaining else wait_s(self._item, stats)

    def _run(self, query: Callable[[TokenBucketRateLimiter], T]) -> T:
        if self._is_local and self._clock_s() < self._retry_at:
            return query(self._local)
        self._retry_at = self._clock_s() + RETRY_S  # before the attempt, so that only one caller waits for Redis
        try:
            result = query(self._shared)
        except redis.RedisError as error:
            self._fall_back(error)
            return query(self._local)
        self._recover()
        return result

    def _fall_back(self, error: redis.RedisError) -> None:
        if not self._is_local:
            log.warning(
                "Redis is unavailable: this process counts rate limits alone", action="limits.own", problem=str(error)
            )
        self._is_local, self._retry_at = True, self._clock_s() + RETRY_S

    def _recover(self) -> None:
        if self._is_local:
            log.info("Redis is available: rate limits are shared again", action="limits.shared")
        self._is_local = False
