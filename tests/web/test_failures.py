"""Invalid keys and tokens are counted by address in a shared real Redis; known credentials are not limited."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask.testing import FlaskClient

from app import container
from app.config import Settings
from app.container import Services
from app.domain.access import Role, Scope
from app.factory import create_app
from tests.support.fakes import Bench
from tests.support.redis import forget_limits
from tests.support.waiting import until

MOST = 5
WRONG_KEY = "imgk_" + "0" * 16 + "_" + "0" * 64
WRONG_EXTENSION = "imgx_" + "0" * 16 + "_" + "0" * 64
Make = Callable[..., FlaskClient]


@pytest.fixture
def database_url(fresh_sqlite: str) -> str:
    """SQLite alone: failures are not stored in the database."""
    return fresh_sqlite


@pytest.fixture
def shared(redis_url: str) -> str:
    """The URL of a Redis without counted failures."""
    forget_limits(redis_url)
    return redis_url


@pytest.fixture
def services(bench: Bench, shared: str) -> Services:
    """The services with required authentication, which accept a few failures a minute."""
    return guarded(bench, shared)


def guarded(bench: Bench, redis_url: str, most: int = MOST) -> Services:
    limits = dataclasses.replace(Settings.from_env({}).limits, auth_failures=most)
    changed = bench.with_settings(auth_required=True, limits=limits, redis_url=redis_url)
    return container.build(changed.ports)


def process(services: Services) -> FlaskClient:
    """Another web process, with an empty cache."""
    return create_app(services=services).test_client()


@pytest.fixture
def key(services: Services) -> str:
    """A key of the user ann."""
    services.accounts.create_user("ann", Role.USER)
    return str(services.accounts.create_key("ann", [Scope.READ, Scope.WRITE]))


def show(client: FlaskClient, bearer: str, address: str = "203.0.113.7") -> Any:
    return client.get(
        "/api/images", headers={"Authorization": f"Bearer {bearer}"}, environ_overrides={"REMOTE_ADDR": address}
    )


def fail_often(client: FlaskClient, bearer: str = WRONG_KEY, address: str = "203.0.113.7") -> Any:
    """Send an invalid credential until the response is no longer 401."""
    for _ in range(10 * MOST):
        answer = show(client, bearer, address)
        if answer.status_code != 401:
            return answer
    pytest.fail("one may fail as often as one likes")


@pytest.mark.parametrize("bearer", [WRONG_KEY, WRONG_EXTENSION, "nonsense", "a.b.c"])
def test_too_many_failures_are_answered_with_retry_after(services: Services, bearer: str) -> None:
    client = process(services)
    assert show(client, bearer).status_code == 401
    refused = fail_often(client, bearer)
    assert (refused.status_code, refused.json["code"]) == (429, "ERR_TOO_MANY_FAILURES")
    wait_s = int(refused.headers["Retry-After"])
    assert 1 <= wait_s <= 60 // MOST
    assert f"in {wait_s} s" in refused.json["detail"]


def test_failures_of_all_processes_count_together(services: Services) -> None:
    fail_often(process(services))
    assert show(process(services), WRONG_KEY).status_code == 429


def test_other_addresses_are_not_limited(services: Services, key: str) -> None:
    client = process(services)
    fail_often(client)
    assert show(client, key, "203.0.113.8").status_code == 200
    assert show(client, WRONG_KEY, "203.0.113.8").status_code == 401


def test_ipv6_addresses_are_counted_by_network(services: Services) -> None:
    client = process(services)
    for n in range(10 * MOST):
        show(client, WRONG_KEY, f"2001:db8::{n:x}")
    assert show(client, WRONG_KEY, "2001:db8::ffff").status_code == 429
    assert show(client, WRONG_KEY, "2001:db8:0:1::1").status_code == 401


def test_a_key_accepted_before_is_not_limited_by_failures_of_its_address(services: Services, key: str) -> None:
    client = process(services)
    assert show(client, key).status_code == 200
    fail_often(client)
    assert [show(client, key).status_code for _ in range(3)] == [200] * 3


def test_a_new_key_is_limited_with_its_address(services: Services, key: str) -> None:
    client = process(services)
    fail_often(client)
    assert show(client, key).status_code == 429


def test_a_signed_token_is_always_checked(services: Services, key: str) -> None:
    client = process(services)
    fail_often(client)
    assert show(client, services.access.issue("ann", Role.USER, "read")[0]).status_code == 200
    assert show(client, "a.b.c").status_code == 429


def test_a_key_accepted_before_and_revoked_is_limited(services: Services, key: str) -> None:
    client = process(services)
    assert show(client, key).status_code == 200
    services.accounts.revoke_key(key.split("_")[1])
    until(lambda: show(client, key).status_code == 401, 10, "the key to be refused")
    assert fail_often(client, key).status_code == 429


def test_a_request_without_a_credential_is_no_failure(services: Services) -> None:
    client = process(services)
    answers = [client.get("/api/images", environ_overrides={"REMOTE_ADDR": "203.0.113.7"}) for _ in range(3 * MOST)]
    assert {answer.status_code for answer in answers} == {401}
    assert show(client, WRONG_KEY).status_code == 401


def test_a_limited_request_makes_no_query(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    client = process(services)
    fail_often(client)
    monkeypatch.setattr(services.ports.database, "read", lambda work: pytest.fail("it was asked"))
    assert show(client, WRONG_KEY).status_code == 429


def test_zero_disables_the_limit(bench: Bench, shared: str) -> None:
    client = process(guarded(bench, shared, most=0))
    assert {show(client, WRONG_KEY).status_code for _ in range(3 * MOST)} == {401}


@pytest.fixture
def nowhere() -> Iterator[str]:
    """A URL where no Redis is."""
    with tempfile.TemporaryDirectory(prefix="imagefleet-none-") as folder:
        yield f"unix://{folder}/redis.sock"


def test_without_redis_each_process_counts_alone(bench: Bench, nowhere: str) -> None:
    services = guarded(bench, nowhere)
    assert fail_often(process(services)).status_code == 429
    assert show(process(services), WRONG_KEY).status_code == 401
