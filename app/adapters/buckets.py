"""Token buckets that all processes share, in Redis; and this process's own while Redis is away.

One script takes from several buckets or from none, by Redis's own clock, so counts are exact however many ask at once.
While Redis does not answer, each process goes on from what it saw last, and looks after Redis once a second: at most one
request a second waits for it, for `TIMEOUT_S` at most to connect and as long again for an answer.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import redis

from app import logs
from app.adapters.commands import Commands, Script
from app.domain.buckets import SECOND_US, Bucket, take

TIMEOUT_S = 0.2
AGAIN_S = 1.0
REMEMBERED = 20_000
PREFIX = "imagefleet:limit:"

# A debt is kept as the moment at which the bucket is full again, and forgotten then. Whatever Redis's clock did
# meanwhile, no bucket is deeper in debt than an empty one.
SCRIPT = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local cost = tonumber(ARGV[1])
local debts, given = {}, 1
for i, key in ipairs(KEYS) do
  local interval, deepest = tonumber(ARGV[2 * i]), tonumber(ARGV[2 * i + 1])
  local full_at = tonumber(redis.call('GET', key) or now) or now
  debts[i] = math.min(math.max(full_at - now, 0), deepest)
  if debts[i] + cost * interval > deepest then given = 0 end
end
for i, key in ipairs(KEYS) do
  if given == 1 then
    debts[i] = debts[i] + cost * tonumber(ARGV[2 * i])
    redis.call('SET', key, string.format('%.0f', now + debts[i]), 'PX', math.ceil(debts[i] / 1000) + 1)
  end
end
table.insert(debts, 1, given)
return table.concat(debts, ' ')
"""

log = logs.get(__name__)


@dataclass(frozen=True, slots=True)
class Taken:
    """What came of it: whether tokens were given, and the debt of each bucket in µs, in the order asked."""

    given: bool
    debts_us: tuple[int, ...]


class Buckets:
    """Takes tokens from named buckets."""

    def __init__(self, commands: Commands, now_s: Callable[[], float] = time.monotonic) -> None:
        self._script = Script(commands, SCRIPT)
        self._now_s = now_s
        self._again_at = float("-inf")
        self._away = False
        self._own = OwnBuckets(now_s)

    def take(self, wanted: Mapping[str, Bucket], cost: int = 1) -> Taken:
        """Take `cost` tokens from each of the buckets, or from none where one of them has too few."""
        if self._now_s() < self._again_at:
            return self._own.take(wanted, cost)
        if self._away:
            self._again_at = self._now_s() + AGAIN_S  # who comes meanwhile need not find out the same
        try:
            taken = self._shared(wanted, cost)
        except redis.RedisError as problem:
            self._lost(problem)
            return self._own.take(wanted, cost)
        if self._away:
            log.info("Limits are shared again", action="limits.shared")
        self._away, self._again_at = False, float("-inf")
        self._own.note(wanted, taken.debts_us)
        return taken

    def _shared(self, wanted: Mapping[str, Bucket], cost: int) -> Taken:
        sizes = [size for bucket in wanted.values() for size in (bucket.interval_us, bucket.deepest_us)]
        # One text: redis-py reads a list item by item, which takes twice as long.
        given, *debts = map(int, self._script([PREFIX + name for name in wanted], [cost, *sizes]).split())
        return Taken(bool(given), tuple(debts))

    def _lost(self, problem: redis.RedisError) -> None:
        if not self._away:
            log.warning("Limits are this process's own now: Redis is away", action="limits.own", problem=str(problem))
        self._away, self._again_at = True, self._now_s() + AGAIN_S


class OwnBuckets:
    """Buckets of this process alone; the names heard of last are remembered, `REMEMBERED` at most."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._full_at_us: OrderedDict[str, int] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, wanted: Mapping[str, Bucket], cost: int) -> Taken:
        """As Buckets.take."""
        with self._lock:
            debts = [self._debt(name, bucket) for name, bucket in wanted.items()]
            taken = take(list(wanted.values()), debts, cost)
            if taken is None:
                return Taken(False, tuple(debts))
            self._keep(wanted, taken)
            return Taken(True, tuple(taken))

    def note(self, wanted: Mapping[str, Bucket], debts_us: tuple[int, ...]) -> None:
        """Remember what Redis says of them."""
        with self._lock:
            self._keep(wanted, debts_us)

    def _debt(self, name: str, bucket: Bucket) -> int:
        return min(max(0, self._full_at_us.get(name, 0) - self._now_us()), bucket.deepest_us)

    def _keep(self, wanted: Mapping[str, Bucket], debts_us: tuple[int, ...] | list[int]) -> None:
        now_us = self._now_us()
        for name, debt in zip(wanted, debts_us, strict=True):
            self._full_at_us[name] = now_us + debt
            self._full_at_us.move_to_end(name)
        while len(self._full_at_us) > REMEMBERED:
            self._full_at_us.popitem(last=False)

    def _now_us(self) -> int:
        return round(self._now_s() * SECOND_US)
