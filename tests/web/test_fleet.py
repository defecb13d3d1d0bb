"""The fleet over HTTP: who may see it, and its fields."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from app.container import Services
from app.domain.access import Role, Scope
from app.factory import create_app
from tests.support.fakes import Bench
from tests.support.harness import Harness

PATH = "/api/extensions"
BOTH = (Scope.READ, Scope.WRITE)
Shown = dict[str, str]


@pytest.fixture
def harness(bench: Bench, services: Services) -> Harness:
    """A harness on the services of the application."""
    return Harness(bench, services)


@pytest.fixture
def guarded_client(guarded: Services) -> FlaskClient:
    """An HTTP client of the application."""
    return create_app(guarded.settings, guarded).test_client()


@pytest.fixture
def key(guarded: Services) -> Callable[..., Shown]:
    """A function that creates a user with a key and returns the header with it."""

    def make(user: str, role: Role, *scopes: Scope) -> Shown:
        guarded.accounts.create_user(user, role)
        return {"Authorization": f"Bearer {guarded.accounts.create_key(user, scopes)}"}

    return make


def test_an_extension_is_listed_with_all_its_fields(client: FlaskClient, harness: Harness) -> None:
    harness.connect("e1", "dall-e-3", max_concurrent=2)
    job = harness.submit_and_start()
    page: Any = client.get(PATH).json
    [listed] = page["extensions"]
    times = {listed.pop("since"), listed.pop("lastSeenAt")}
    assert all(each.endswith("Z") for each in times)
    assert listed == {
        "extensionId": "e1",
        "connected": True,
        "standing": "free",
        "capabilities": ["dall-e-3"],
        "available": True,
        "maxConcurrent": 2,
        "active": 1,
        "requestIds": [job.id],
        "failures": 0,
        "webProcess": "hub-1",
    }
    assert "nextCursor" not in page


def test_a_paused_extension_has_a_reason(client: FlaskClient, harness: Harness) -> None:
    holder, job = harness.connect_and_start()
    harness.report_failure(holder, job, "Too many requests", retry_after_ms=60_000)
    [listed] = client.get(PATH).json["extensions"]
    assert (listed["standing"], listed["failures"]) == ("paused", 1)
    assert listed["pause"]["reason"] == "The site that it uses limits its requests (ERR_RATE_LIMIT)."
    assert listed["pause"]["until"] > listed["lastSeenAt"]


def test_extensions_are_listed_in_pages_and_by_whether_they_are_connected(
    client: FlaskClient, harness: Harness
) -> None:
    for name in ("a:1", "b", "c"):
        harness.connect(name)
    harness.services.extensions.disconnected("b-socket-1")

    def names(query: str) -> list[str]:
        return [each["extensionId"] for each in client.get(f"{PATH}?{query}").json["extensions"]]

    assert names("") == ["a:1", "b", "c"]
    assert names("connected=true") == ["a:1", "c"]
    assert names("connected=false") == ["b"]
    first: Any = client.get(f"{PATH}?limit=1").json
    assert names(f"limit=9&cursor={first['nextCursor']}") == ["b", "c"]


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "connected=perhaps", "cursor=a%20b", f"cursor={'x' * 129}"])
def test_a_list_with_invalid_parameters_is_refused(client: FlaskClient, query: str) -> None:
    answer = client.get(f"{PATH}?{query}")
    assert answer.status_code == 400
    assert query.partition("=")[0] in answer.json["detail"]


def test_only_operators_see_the_fleet(
    guarded_client: FlaskClient, guarded: Services, key: Callable[..., Shown]
) -> None:
    assert guarded_client.get(PATH).status_code == 401
    assert guarded_client.get(PATH, headers=key("olga", Role.OPERATOR, Scope.ADMIN)).status_code == 200
    painter = {"Authorization": f"Bearer {guarded.accounts.create_extension_token('painter')}"}
    for shown in (key("otto", Role.OPERATOR, Scope.READ, Scope.WRITE), key("ann", Role.USER, *BOTH), painter):
        answer = guarded_client.get(PATH, headers=shown)
        assert (answer.status_code, answer.json["code"]) == (403, "ERR_FORBIDDEN")
        assert 'error="insufficient_scope", scope="admin"' in answer.headers["WWW-Authenticate"]


def test_the_scope_alone_does_not_make_an_operator(guarded_client: FlaskClient, guarded: Services) -> None:
    """Another issuer may give a user any scope."""
    token, _, _ = guarded.access.issue("ann", Role.USER, "read write admin")
    answer = guarded_client.get(PATH, headers={"Authorization": f"Bearer {token}"})
    assert (answer.status_code, answer.json["code"]) == (403, "ERR_FORBIDDEN")


def test_with_open_access_a_users_key_still_restricts(client: FlaskClient, services: Services) -> None:
    services.accounts.create_user("ann", Role.USER)
    shown = {"Authorization": f"Bearer {services.accounts.create_key('ann', BOTH)}"}
    assert client.get(PATH).status_code == 200
    assert client.get(PATH, headers=shown).status_code == 403


def test_an_operator_ends_a_pause(
    guarded_client: FlaskClient, guarded: Services, bench: Bench, key: Callable[..., Shown]
) -> None:
    harness, operator, user = (
        Harness(bench, guarded),
        key("olga", Role.OPERATOR, Scope.ADMIN),
        key("ann", Role.USER, *BOTH),
    )
    harness.connect("e1")
    harness.update_extension("e1", cooldown_until=2**42, cooldown_reason="No recipe", failures=2)
    assert guarded_client.delete(f"{PATH}/e1/pause", headers=user).status_code == 403
    assert harness.extension_row().failures == 2
    for _ in range(2):
        ended = guarded_client.delete(f"{PATH}/e1/pause", headers=operator)
        assert (ended.status_code, ended.data) == (204, b"")
    assert (harness.extension_row().cooldown_until, harness.extension_row().failures) == (0, 0)
    unknown = guarded_client.delete(f"{PATH}/e2/pause", headers=operator)
    assert (unknown.status_code, unknown.json["detail"]) == (404, "No extension e2 has ever connected.")
