"""Token bucket: a rate-limit strategy for `limits`, which has none of this kind.

"20 per 120000 milliseconds" is a bucket of 20 tokens that is refilled by one token every 6 s: it allows 20 requests at once
and then 10 a minute. Only the time at which a bucket will be full again is stored, so a full bucket needs no storage.
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
TIMEOUT_S = 0.2  # for connecting, and for each reply; then Redis counts as unavailable
SECOND_US = 1_000_000

# All times are microseconds of Redis's clock. A debt is at most the window: a bucket that would be full in the far future,
# because the clock was set back, counts as empty instead of refusing everything until then.
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
    """Defining this class adds milliseconds to the notation of `limits`, whose smallest unit is the second."""

    GRANULARITY = Granularity(0, "millisecond")

    def get_expiry(self) -> int:
        """The window in whole seconds, rounded up."""
        return math.ceil(self.multiples / 1000)


def bucket(requests: int, window_ms: int, burst: int) -> RateLimitItem:
    """A bucket that allows `requests` in each window of `window_ms`, and up to `burst` at once."""
    return RateLimitItemPerMillisecond(burst, max(1, round(window_ms * burst / requests)))


def shared_storage_options(redis_url: str) -> dict[str, object]:
    """Options of a RedisStorage whose calls succeed or fail within `TIMEOUT_S`."""
    return {"connection_pool": redis_client(redis_url, TIMEOUT_S).connection_pool, "key_prefix": KEY_PREFIX}


def wait_s(item: RateLimitItem, stats: WindowStats) -> int:
    """Whole seconds until the bucket has a token, rounded up and at least 1."""
    until_full_s = stats.reset_time - time.time()
    return max(1, math.ceil(until_full_s - _interval_us(item) * (item.amount - 1) / SECOND_US))


class TokenBucketRateLimiter(RateLimiter):
    """The strategy for a RedisStorage, where it is exact across processes, and for a MemoryStorage."""

    def __init__(self, storage: Storage) -> None:
        super().__init__(storage)
        self._lock = threading.Lock()
        if isinstance(storage, RedisStorage):
            self._script = cast(redis.Redis, storage.get_connection()).register_script(SCRIPT)

    def hit(self, item: RateLimitItem, *identifiers: str, cost: int = 1) -> bool:
        """Take `cost` tokens. False if there are fewer; then none is taken."""
        return self.take(item, *identifiers, cost=cost)[0]

    def test(self, item: RateLimitItem, *identifiers: str, cost: int = 1) -> bool:
        """True if a hit would be allowed."""
        return self.get_window_stats(item, *identifiers).remaining >= cost

    def get_window_stats(self, item: RateLimitItem, *identifiers: str) -> WindowStats:
        """The time when the bucket will be full (s since the epoch), and its number of tokens."""
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
        """The same as the script, with the process's monotonic clock."""
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
    """Microseconds for one token to be refilled."""
    return max(1, item.multiples * 1000 // item.amount)
