"""Rate limits and quotas over HTTP, counted in a real Redis that is empty at the beginning of each test."""

from __future__ import annotations

import dataclasses
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import redis
from flask.testing import FlaskClient

from app import container
from app.adapters.redis_clients import redis_client
from app.config import Settings
from app.domain.access import Role, Scope
from app.factory import create_app
from tests.support.fakes import Bench
from tests.support.redis import forget_limits, limit_keys
from tests.support.waiting import until

DEFAULTS = Settings.from_env({}).limits
GENERATE = "/api/images/generate"
A_MINUTE_MS, AN_HOUR_MS = 60_000, 3_600_000
Make = Callable[..., FlaskClient]


@pytest.fixture
def database_url(fresh_sqlite: str) -> str:
    """SQLite alone: limits are not stored in the database."""
    return fresh_sqlite


@pytest.fixture
def store(redis_url: str) -> redis.Redis:
    """The URL of a Redis in which all buckets are full."""
    forget_limits(redis_url)
    return redis_client(redis_url)


@pytest.fixture
def make(bench: Bench, redis_url: str, store: redis.Redis) -> Make:
    """An application with these limits, and defaults for the rest; an hour's window refills nothing during a test."""

    def made(**limits: int) -> FlaskClient:
        limits = {"rate_window_ms": AN_HOUR_MS, **limits}
        changed = bench.with_settings(limits=dataclasses.replace(DEFAULTS, **limits), redis_url=redis_url)
        return create_app(services=container.build(changed.ports)).test_client()

    return made


def submit(client: FlaskClient, user: str = "ann", address: str = "203.0.113.7", **body: Any) -> Any:
    body = {"prompt": "a fox", "userId": user, **body}
    return client.post(GENERATE, json=body, environ_overrides={"REMOTE_ADDR": address})


def taken(client: FlaskClient, times: int, **body: Any) -> int:
    return sum(submit(client, **body).status_code == 200 for _ in range(times))


def test_the_contracts_defaults_hold(make: Make) -> None:
    client = make(rate_window_ms=A_MINUTE_MS)
    assert [submit(client).status_code for _ in range(22)] == [200] * 20 + [429] * 2


def test_each_response_contains_the_remaining_tokens(make: Make) -> None:
    client, before = make(rate_window_ms=A_MINUTE_MS), time.time()
    first, second = submit(client), submit(client)
    assert (first.headers["X-RateLimit-Limit"], first.headers["X-RateLimit-Remaining"]) == ("20", "19")
    assert second.headers["X-RateLimit-Remaining"] == "18"
    assert before + 11 < int(second.headers["X-RateLimit-Reset"]) < time.time() + 14
    assert "Retry-After" not in second.headers


def test_a_refusal_contains_retry_after(make: Make) -> None:
    client = make(rate_burst=1, rate_window_ms=A_MINUTE_MS)
    submit(client)
    refused = submit(client)
    assert (refused.status_code, refused.content_type) == (429, "application/problem+json")
    assert refused.json["code"] == "ERR_RATE_LIMIT"
    assert refused.headers["X-RateLimit-Remaining"] == "0"
    wait_s = int(refused.headers["Retry-After"])
    assert 5 <= wait_s <= 6
    assert f"in {wait_s} s" in refused.json["detail"]


def test_a_retry_after_that_time_is_accepted(make: Make, store: redis.Redis, redis_url: str) -> None:
    client = make(rate_burst=1, rate_per_address=0)
    submit(client)
    wait_s = int(submit(client).headers["Retry-After"])
    [key] = [key for key in limit_keys(redis_url) if "address:203.0.113.7:ann" in key]
    store.set(key, int(str(store.get(key))) - wait_s * 1_000_000)
    assert submit(client).status_code == 200


def test_an_invalid_request_costs_no_token(make: Make) -> None:
    client = make(rate_burst=1)
    for body in ({"prompt": ""}, {"prompt": "a", "unknown": 1}, {"prompt": "a", "userId": "a b"}):
        refused = client.post(GENERATE, json=body)
        assert refused.status_code == 400
        assert "X-RateLimit-Remaining" not in refused.headers
    assert taken(client, 2) == 1


def test_users_do_not_share_a_limit(make: Make) -> None:
    client = make(rate_burst=2)
    assert taken(client, 3, user="ann") == 2
    assert taken(client, 3, user="bob") == 2


def test_invented_users_share_the_limit_of_their_address(make: Make) -> None:
    client = make(rate_burst=2)
    assert sum(submit(client, f"invented-{n}").status_code == 200 for n in range(30)) == 10
    refused = submit(client, "one-more")
    assert "Your address" in refused.json["detail"]
    assert refused.headers["X-RateLimit-Limit"] == "10"
    assert taken(client, 1, user="ann", address="198.51.100.9") == 1


def test_addresses_of_one_ipv6_network_share_a_limit(make: Make) -> None:
    client = make(rate_burst=2)
    served = [submit(client, f"user-{n}", f"2001:db8:1:2::{n:x}").status_code for n in range(1, 31)]
    assert served.count(200) == 10


@pytest.mark.parametrize("header", ["X-Forwarded-For", "X-Real-IP", "Forwarded", "X-Client-IP"])
def test_forwarded_headers_do_not_change_the_limit(make: Make, header: str) -> None:
    client = make(rate_burst=2)
    sent = [
        client.post(GENERATE, json={"prompt": "a", "userId": "ann"}, headers={header: f"198.51.100.{n}"})
        for n in range(5)
    ]
    assert [answer.status_code for answer in sent].count(200) == 2


def test_a_refused_request_costs_no_token_of_other_limits(make: Make) -> None:
    client = make(rate_burst=2, rate_global=4)
    assert taken(client, 50, user="greedy") == 2
    assert taken(client, 2, user="ann", address="198.51.100.9") == 2


def test_all_clients_together_have_a_limit(make: Make) -> None:
    client = make(rate_global=3)
    served = [submit(client, "ann", f"198.51.100.{n}").status_code for n in range(5)]
    assert served == [200, 200, 200, 429, 429]
    assert "everybody" in submit(client).json["detail"]


def test_zero_disables_a_limit(make: Make) -> None:
    client = make(rate_requests=0, rate_per_address=0, rate_global=0)
    assert taken(client, 30) == 30
    assert "X-RateLimit-Limit" not in submit(client).headers


def test_other_requests_are_not_limited(make: Make) -> None:
    client = make(rate_burst=1)
    request_id = submit(client).json["requestId"]
    for _ in range(5):
        answer = client.get(f"/api/images/{request_id}/status")
        assert answer.status_code == 200
        assert "X-RateLimit-Limit" not in answer.headers


def test_without_redis_a_limit_still_holds(bench: Bench) -> None:
    changed = bench.with_settings(limits=DEFAULTS, redis_url="unix:///nonexistent/redis.sock")
    client = create_app(services=container.build(changed.ports)).test_client()
    assert taken(client, 25) == 20
    assert submit(client).headers["X-RateLimit-Remaining"] == "0"


def test_a_key_is_counted_by_its_owner_and_not_by_address(make: Make) -> None:
    client = make(rate_burst=2, rate_per_address=1)
    accounts = client.application.extensions["services"].accounts
    keys = {}
    for user in ("ann", "bob"):
        accounts.create_user(user, Role.USER)
        keys[user] = accounts.create_key(user, [Scope.WRITE])

    def submitted(user: str, address: str) -> Any:
        return client.post(
            GENERATE,
            json={"prompt": "a fox"},
            headers={"Authorization": f"Bearer {keys[user]}"},
            environ_overrides={"REMOTE_ADDR": address},
        )

    assert [submitted("ann", f"198.51.100.{n}").status_code for n in range(3)] == [200, 200, 429]
    assert [submitted("bob", "198.51.100.0").status_code for _ in range(3)] == [200, 200, 429]
    assert "You may submit 10 requests in 3600 s, and 2 at once" in submitted("ann", "198.51.100.9").json["detail"]
    assert taken(client, 3, user="ann") == 1  # without a key the address and the claimed user count


def test_an_address_may_submit_as_much_as_five_users(make: Make) -> None:
    limits = Settings.from_env({"RATE_LIMIT_MAX_REQUESTS": "30", "RATE_LIMIT_BURST": "60"}).limits
    assert limits.rate_per_address == 150
    client = make(rate_requests=1, rate_burst=2, rate_per_address=5)
    assert sum(submit(client, f"user-{n}").status_code == 200 for n in range(15)) == 10
    assert "may submit 5 requests in 3600 s, and 10 at once" in submit(client, "one-more").json["detail"]


def test_the_headers_describe_the_limit_with_the_fewest_tokens_left(make: Make) -> None:
    client = make(rate_global=3)
    first = submit(client)
    assert (first.headers["X-RateLimit-Limit"], first.headers["X-RateLimit-Remaining"]) == ("3", "2")


def test_a_redis_that_is_reachable_again_is_used(bench: Bench, redis_url: str, store: redis.Redis) -> None:
    gone = redis_url.replace("redis.sock", "nowhere.sock")
    slow = dataclasses.replace(DEFAULTS, rate_window_ms=3_600_000)  # no token is refilled while the test runs
    changed = bench.with_settings(limits=slow, redis_url=gone)
    client = create_app(services=container.build(changed.ports)).test_client()
    assert taken(client, 25) == 20
    assert limit_keys(redis_url) == []
    Path(gone.removeprefix("unix://").partition("?")[0]).symlink_to(redis_url.removeprefix("unix://").partition("?")[0])
    until(lambda: submit(client).status_code == 200, 10, "Redis to be used again")
    assert limit_keys(redis_url)


def test_a_refusal_for_a_quota_names_the_quota(make: Make) -> None:
    client = make(quota_waiting=2)
    assert taken(client, 2) == 2
    refused = submit(client)
    assert (refused.status_code, refused.json["code"]) == (429, "ERR_QUOTA_EXCEEDED")
    assert "QUOTA_WAITING" in refused.json["detail"]
    assert int(refused.headers["Retry-After"]) > 0
    assert refused.headers["X-RateLimit-Remaining"] == "17"  # it did cost a token


def test_the_refusals_are_documented_in_openapi(make: Make) -> None:
    described = make().get("/openapi.json").json["paths"]["/api/images/generate"]["post"]["responses"]
    assert {"X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"} <= set(described["200"]["headers"])
    assert "Retry-After" in described["429"]["headers"]
    assert "ERR_RATE_LIMIT" in described["429"]["description"]
    assert "ERR_QUOTA_EXCEEDED" in described["429"]["description"]


def test_requests_that_notice_at_the_same_time_that_redis_is_silent_are_accepted(bench: Bench, tmp_path: Path) -> None:
    path, count = tmp_path / "silent.sock", 8
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(path))
        silent.listen(2 * count)
        changed = bench.with_settings(limits=DEFAULTS, redis_url=f"unix://{path}")
        app = create_app(services=container.build(changed.ports))
        with ThreadPoolExecutor(count) as pool:
            answers = list(pool.map(lambda n: submit(app.test_client(), f"user-{n}").status_code, range(count)))
    assert answers == [200] * count
