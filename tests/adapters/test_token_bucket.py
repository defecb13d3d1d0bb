"""The token-bucket strategy over a real Redis and over this process's memory."""

from __future__ import annotations

import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis
from limits import RateLimitItem, parse
from limits.storage import MemoryStorage, RedisStorage, Storage

from app.adapters.redis_clients import redis_client
from app.adapters.token_bucket import KEY_PREFIX, TokenBucketRateLimiter, bucket, shared_storage_options, wait_s

HOUR_US = 3_600_000_000
SLOW = bucket(1, 3_600_000, 20)  # one token an hour: none is refilled during a test


@pytest.fixture
def client(redis_url: str) -> redis.Redis:
    return redis_client(redis_url, 5.0)


@pytest.fixture
def name() -> str:
    return uuid.uuid4().hex


@pytest.fixture(params=["redis", "memory"])
def limiter(request: pytest.FixtureRequest) -> TokenBucketRateLimiter:
    memory = request.param == "memory"
    return TokenBucketRateLimiter(MemoryStorage() if memory else shared(request.getfixturevalue("redis_url")))


def shared(redis_url: str) -> Storage:
    return RedisStorage("redis://", **shared_storage_options(redis_url))  # type: ignore[arg-type]


def key(item: RateLimitItem, name: str) -> str:
    return f"{KEY_PREFIX}:{item.key_for(name)}"


def hits(limiter: TokenBucketRateLimiter, name: str, times: int, item: RateLimitItem = SLOW) -> int:
    return sum(limiter.hit(item, name) for _ in range(times))


def test_the_notation_of_limits_has_milliseconds() -> None:
    item = parse(str(bucket(10, 60_000, 20)))
    assert (item, item.amount, item.multiples, item.get_expiry()) == (bucket(10, 60_000, 20), 20, 120_000, 120)


def test_a_bucket_allows_its_burst_and_no_more(limiter: TokenBucketRateLimiter, name: str) -> None:
    assert hits(limiter, name, 25) == 20
    assert not limiter.test(SLOW, name)
    assert hits(limiter, f"{name}-other", 1) == 1


@pytest.mark.parametrize(("requests", "window_ms"), [(7, 60_000), (1, 86_400_000), (3, 100_000)])
def test_every_rate_allows_exactly_its_burst(
    limiter: TokenBucketRateLimiter, name: str, requests: int, window_ms: int
) -> None:
    assert hits(limiter, name, 12, bucket(requests, window_ms, 7)) == 7


def test_a_hit_that_costs_too_much_takes_nothing(limiter: TokenBucketRateLimiter, name: str) -> None:
    assert not limiter.hit(SLOW, name, cost=21)
    assert limiter.hit(SLOW, name, cost=20)
    assert not limiter.hit(SLOW, name)


def test_tokens_are_refilled_one_by_one(limiter: TokenBucketRateLimiter, name: str) -> None:
    item = bucket(100, 2_000, 2)  # one in 20 ms
    began, served = time.monotonic(), 0
    while served < 12:
        served += limiter.hit(item, name)
    assert 0.2 <= time.monotonic() - began < 5


def test_stats_show_the_remaining_tokens_and_when_the_bucket_is_full(
    limiter: TokenBucketRateLimiter, name: str
) -> None:
    assert limiter.get_window_stats(SLOW, name).remaining == 20
    hits(limiter, name, 3)
    stats, now = limiter.get_window_stats(SLOW, name), time.time()
    assert stats.remaining == 17
    assert stats.reset_time == pytest.approx(now + 3 * 3600, abs=5)
    assert limiter.test(SLOW, name, cost=17)
    assert not limiter.test(SLOW, name, cost=18)


def test_an_empty_bucket_has_a_token_after_one_interval(limiter: TokenBucketRateLimiter, name: str) -> None:
    hits(limiter, name, 20)
    assert 3590 < wait_s(SLOW, limiter.get_window_stats(SLOW, name)) <= 3600


def test_concurrent_processes_get_exactly_the_burst(redis_url: str, name: str) -> None:
    processes = [TokenBucketRateLimiter(RedisStorage("redis://", connection_pool=pool(redis_url))) for _ in range(4)]
    with ThreadPoolExecutor(16) as threads:
        served = list(threads.map(lambda n: processes[n % 4].hit(SLOW, name), range(200)))
    assert served.count(True) == 20


def pool(redis_url: str) -> redis.ConnectionPool:
    return redis_client(redis_url, 5.0).connection_pool


def test_concurrent_threads_get_exactly_the_burst(name: str) -> None:
    limiter = TokenBucketRateLimiter(MemoryStorage())
    with ThreadPoolExecutor(16) as threads:
        assert list(threads.map(lambda _: limiter.hit(SLOW, name), range(200))).count(True) == 20


def test_the_stored_time_moves_with_the_clock_of_redis(client: redis.Redis, redis_url: str, name: str) -> None:
    limiter = TokenBucketRateLimiter(shared(redis_url))
    hits(limiter, name, 20)
    full_at = int(str(client.get(key(SLOW, name))))
    client.set(key(SLOW, name), full_at - 2 * HOUR_US)  # two hours later
    assert hits(limiter, name, 5) == 2


def test_a_full_bucket_needs_no_storage(client: redis.Redis, redis_url: str, name: str) -> None:
    limiter = TokenBucketRateLimiter(shared(redis_url))
    limiter.get_window_stats(SLOW, name)
    assert not client.exists(key(SLOW, name))
    limiter.hit(SLOW, name)
    assert 3_590_000 < int(str(client.pttl(key(SLOW, name)))) <= 3_600_000


def test_after_the_clock_was_set_back_a_bucket_is_empty_and_is_refilled(
    client: redis.Redis, redis_url: str, name: str
) -> None:
    limiter, item = TokenBucketRateLimiter(shared(redis_url)), bucket(100, 2_000, 2)
    client.set(key(item, name), "9" * 15 + "0")
    assert not limiter.hit(item, name)
    assert int(str(client.pttl(key(item, name)))) <= 40
    deadline = time.monotonic() + 5
    while not limiter.hit(item, name):
        assert time.monotonic() < deadline, "the bucket never fills"


@pytest.mark.parametrize("back_us", [150_000_000, HOUR_US, 24 * HOUR_US, 10_000 * HOUR_US])
def test_a_refusal_rewrites_a_bucket_that_is_full_in_the_far_future(
    client: redis.Redis, redis_url: str, name: str, back_us: int
) -> None:
    limiter = TokenBucketRateLimiter(shared(redis_url))
    hits(limiter, name, 20)
    client.set(key(SLOW, name), int(str(client.get(key(SLOW, name)))) + back_us)
    assert not limiter.hit(SLOW, name)
    seconds, microseconds = client.time()
    debt_us = int(str(client.get(key(SLOW, name)))) - (seconds * 1_000_000 + microseconds)
    assert debt_us <= 20 * HOUR_US


@pytest.mark.parametrize("stored", ["nonsense", "-1"])
def test_an_invalid_stored_value_counts_as_a_full_bucket(
    client: redis.Redis, redis_url: str, name: str, stored: str
) -> None:
    client.set(key(SLOW, name), stored)
    assert hits(TokenBucketRateLimiter(shared(redis_url)), name, 25) == 20


def test_full_buckets_are_removed_from_memory(name: str) -> None:
    storage = MemoryStorage()
    limiter, item = TokenBucketRateLimiter(storage), bucket(1_000, 1_000, 1)  # full again after 1 ms
    for n in range(100):
        limiter.hit(item, f"{name}-{n}")
    deadline = time.monotonic() + 5
    while len(storage.storage) > 1:
        assert time.monotonic() < deadline, "full buckets stay in memory"
        limiter.hit(item, name)
