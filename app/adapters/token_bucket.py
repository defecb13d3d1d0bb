"""Token bucket: the rate-limit strategy that `limits` lacks, written as one of its strategies.

"20 per 120000 milliseconds" is a bucket of 20 tokens that is refilled evenly, one token each 6 s: 20 requests at once, and
10 a minute after that. Of a bucket only the time is stored at which it will be full again, so an idle one needs no storage.
"""

from __future__ import annotations

import math
import threading
import time
from typing import cast

import redis
from limits import RateLimitItem
from limits.limits import Granularity
from limits.storage import MemoryStorage, RedisStorage, Storage
from limits.strategies import RateLimiter
from limits.util import WindowStats

from app.adapters.redis_clients import redis_client

KEY_PREFIX = "imagefleet:limit"
TIMEOUT_S = 0.2  # to connect, and again for an answer: longer than this and Redis counts as away
SECOND_US = 1_000_000

# All times are microseconds of Redis's own clock. No bucket can owe more than its window: one that is full in the far
# future, because the clock was set back, is stored anew as an empty one instead of refusing everything until then.
SCRIPT = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local interval, window, cost = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local full_at = tonumber(redis.call('GET', KEYS[1]) or now) or now
local debt = math.min(math.max(full_at - now, 0), window)
local allowed = debt + cost * interval <= window
if allowed then debt = debt + cost * interval end
if debt > 0 then
  redis.call('SET', KEYS[1], string.format('%.0f', now + debt), 'PX', math.ceil(debt / 1000))
end
return {allowed and 1 or 0, debt}
"""


class RateLimitItemPerMillisecond(RateLimitItem):
    """Defining this class adds the unit to the notation of `limits`, whose own smallest is the second."""

    GRANULARITY = Granularity(0, "millisecond")

    def get_expiry(self) -> int:
        """The window in whole seconds, rounded up."""
        return math.ceil(self.multiples / 1000)


def bucket(requests: int, window_ms: int, burst: int) -> RateLimitItem:
    """`requests` in each window of `window_ms`, and up to `burst` at once."""
    return RateLimitItemPerMillisecond(burst, max(1, round(window_ms * burst / requests)))


def shared_storage_options(redis_url: str) -> dict[str, object]:
    """Options of a RedisStorage whose calls end within `TIMEOUT_S`, successful or not."""
    return {"connection_pool": redis_client(redis_url, TIMEOUT_S).connection_pool, "key_prefix": KEY_PREFIX}


def wait_s(item: RateLimitItem, stats: WindowStats) -> int:
    """Whole seconds until the bucket has a token, rounded up and at least 1."""
    until_full_s = stats.reset_time - time.time()
    return max(1, math.ceil(until_full_s - _interval_us(item) * (item.amount - 1) / SECOND_US))


class TokenBucketRateLimiter(RateLimiter):
    """Strategy over a RedisStorage, where it is exact over all processes, or over this process's MemoryStorage."""

    def __init__(self, storage: Storage) -> None:
        super().__init__(storage)
        self._lock = threading.Lock()
        if isinstance(storage, RedisStorage):
            self._script = cast(redis.Redis, storage.get_connection()).register_script(SCRIPT)

    def hit(self, item: RateLimitItem, *identifiers: str, cost: int = 1) -> bool:
        """Take `cost` tokens. False where there are fewer; then none is taken."""
        return self.take(item, *identifiers, cost=cost)[0]

    def test(self, item: RateLimitItem, *identifiers: str, cost: int = 1) -> bool:
        """True where a hit would be allowed."""
        return self.get_window_stats(item, *identifiers).remaining >= cost

    def get_window_stats(self, item: RateLimitItem, *identifiers: str) -> WindowStats:
        """When the bucket is full again (s since the epoch), and how many tokens it has."""
        return self.take(item, *identifiers, cost=0)[1]

    def take(self, item: RateLimitItem, *identifiers: str, cost: int = 1) -> tuple[bool, WindowStats]:
        """A hit, and the stats after it, in one round trip."""
        key, interval_us = item.key_for(*identifiers), _interval_us(item)
        arguments = interval_us, interval_us * item.amount, cost
        if isinstance(self.storage, MemoryStorage):
            allowed, debt_us = self._take_in_memory(self.storage, key, *arguments)
        else:
            prefixed = cast(RedisStorage, self.storage).prefixed_key(key)
            allowed, debt_us = self._script([prefixed], arguments)
        remaining = item.amount - math.ceil(debt_us / interval_us)
        return bool(allowed), WindowStats(time.time() + debt_us / SECOND_US, remaining)

    def _take_in_memory(
        self, storage: MemoryStorage, key: str, interval_us: int, window_us: int, cost: int
    ) -> tuple[bool, int]:
        """What the script does, on the process's monotonic clock."""
        now = time.monotonic_ns() // 1000
        with self._lock:
            debt = max(storage.get(key) - now, 0)
            allowed = debt + cost * interval_us <= window_us
            if allowed and cost:
                debt += cost * interval_us
                storage.clear(key)
                storage.incr(key, debt / SECOND_US, amount=now + debt)
        return allowed, debt


def _interval_us(item: RateLimitItem) -> int:
    """Microseconds in which one token comes back."""
    return max(1, item.multiples * 1000 // item.amount)
