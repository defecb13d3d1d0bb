"""Authentication and authorisation over HTTP: what needs a key, who may see what, and the errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from app.container import Services
from app.domain.access import Role, Scope
from app.factory import create_app

GENERATE = "/api/images/generate"
UNKNOWN = "550e8400-e29b-41d4-a716-446655440000"
PUBLIC = ["/", "/health", "/docs", "/docs/socket", "/static/style.css", "/openapi.json", "/asyncapi.json"]
PUBLIC += ["/extension", "/extension/imagefleet-extension.zip", "/extension/demo"]
Shown = dict[str, str]


@pytest.fixture
def guarded_client(guarded: Services) -> FlaskClient:
    """An HTTP client of the application with required authentication."""
    return create_app(guarded.settings, guarded).test_client()


@pytest.fixture
def key(guarded: Services) -> Callable[..., Shown]:
    """A function that creates a user with a key and returns the header with it."""

    def make(user: str, *scopes: Scope, operator: bool = False) -> Shown:
        guarded.accounts.create_user(user, Role.OPERATOR if operator else Role.USER)
        return bearer(str(guarded.accounts.create_key(user, scopes or (Scope.READ, Scope.WRITE))))

    return make


def bearer(token: str) -> Shown:
    return {"Authorization": f"Bearer {token}"}


def submit(guarded_client: FlaskClient, shown: Shown, **body: Any) -> str:
    answer = guarded_client.post(GENERATE, json={"prompt": "a fox", **body}, headers=shown)
    assert answer.status_code == 200, answer.text
    return str(answer.json["requestId"])


def test_public_paths_need_no_credential_and_check_none(guarded_client: FlaskClient) -> None:
    for path in PUBLIC:
        for shown in ({}, bearer("nonsense")):
            assert guarded_client.get(path, headers=shown).status_code in {200, 302}, path
    assert guarded_client.get("/generated-images/none.png").status_code == 404
    assert guarded_client.put(f"/api/uploads/{UNKNOWN}?attempt=1&expires=1&signature=x", data=b"x").status_code == 403
    assert guarded_client.get(f"/api/inputs/{UNKNOWN}/1/0?expires=1&signature=x").status_code == 403


def test_everything_else_needs_a_key_or_a_token(guarded_client: FlaskClient) -> None:
    checked = 0
    for rule in guarded_client.application.url_map.iter_rules():
        path = rule.rule.replace("<id:request_id>", UNKNOWN).replace("<request_id>", UNKNOWN).replace("<file>", "a.png")
        signed = path.startswith(("/generated-images/", "/api/uploads/", f"/api/inputs/{UNKNOWN}/"))
        if path in PUBLIC or path == "/ws" or path.startswith("/static/") or signed:
            continue
        for method in (rule.methods or set()) - {"OPTIONS"}:
            checked += 1
            answer = guarded_client.open(path, method=method)
            assert answer.status_code == 401, (method, path)
            assert answer.headers["WWW-Authenticate"] == 'Bearer realm="imagefleet"'
            if method != "HEAD" and path.startswith("/v1/"):
                assert answer.json["error"]["code"] == "invalid_api_key"
            elif method != "HEAD":
                assert answer.json["code"] == "ERR_UNAUTHORIZED"
                assert answer.content_type == "application/problem+json"
    assert checked >= 10


@pytest.mark.parametrize(
    "shown", ["Bearer nonsense", "Bearer a.b.c", "bearer imgk_0_0", "Bearer " + "x" * 6_000, "BEARER ünï"]
)
@pytest.mark.parametrize("mode", ["open", "required"])
def test_an_invalid_credential_is_refused_in_every_mode(
    client: FlaskClient, guarded_client: FlaskClient, mode: str, shown: str
) -> None:
    used_client = client if mode == "open" else guarded_client
    answer = used_client.get("/api/images", headers={"Authorization": shown.encode().decode("latin-1")})
    assert answer.status_code == 401
    assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]
    assert "\n" not in answer.headers["WWW-Authenticate"]


def test_a_token_in_the_query_or_with_another_scheme_is_ignored(
    guarded_client: FlaskClient, guarded: Services, key: Callable[..., Shown]
) -> None:
    token = key("ann")["Authorization"].removeprefix("Bearer ")
    assert guarded_client.get(f"/api/images?access_token={token}&token={token}").status_code == 401
    assert guarded_client.get("/api/images", headers={"Authorization": f"Basic {token}"}).status_code == 401
    assert guarded_client.get("/api/images", headers={"X-Api-Key": token}).status_code == 401


def test_with_open_access_the_contract_holds_and_a_key_is_still_checked(
    client: FlaskClient, services: Services
) -> None:
    theirs = submit(client, {}, userId="somebody")
    services.accounts.create_user("ann", Role.USER)
    shown = bearer(str(services.accounts.create_key("ann", [Scope.READ, Scope.WRITE])))
    mine = submit(client, shown)
    assert client.get(f"/api/images/{mine}", headers=shown).json["userId"] == "ann"
    assert client.get(f"/api/images/{theirs}", headers=shown).status_code == 404
    assert client.get(f"/api/images/{mine}").status_code == 200
    assert client.post("/api/auth/token").status_code == 401


def test_a_user_sees_cancels_and_follows_only_their_own_requests(
    guarded_client: FlaskClient, key: Callable[..., Shown]
) -> None:
    ann, bob = key("ann"), key("bob")
    theirs = submit(guarded_client, bob)
    one = f"/api/images/{theirs}"
    for method, path in (
        ("GET", one),
        ("GET", f"{one}?wait=1"),
        ("GET", f"{one}/status"),
        ("GET", f"{one}/status?wait=1&since=0"),
        ("GET", f"{one}/events"),
        ("DELETE", one),
    ):
        foreign = guarded_client.open(path, method=method, headers=ann)
        unknown = guarded_client.open(path.replace(theirs, UNKNOWN), method=method, headers=ann)
        assert (foreign.status_code, unknown.status_code) == (404, 404), path
        assert foreign.json["detail"].replace(theirs, UNKNOWN) == unknown.json["detail"]
        upper = guarded_client.open(path.replace(theirs, theirs.upper()), method=method, headers=ann)
        assert upper.status_code == 404
    assert guarded_client.get("/api/images", headers=ann).json["images"] == []
    assert guarded_client.get(f"/api/images?cursor={'f' * 36}", headers=ann).json["images"] == []
    assert guarded_client.get(f"{one}/status", headers=bob).json["status"] == "accepted"
    assert guarded_client.delete(one, headers=bob).status_code == 200


def test_a_user_cannot_submit_for_others(guarded_client: FlaskClient, key: Callable[..., Shown]) -> None:
    ann, _ = key("ann"), key("bob")
    assert (
        guarded_client.get(f"/api/images/{submit(guarded_client, ann, userId='ann')}", headers=ann).json["userId"]
        == "ann"
    )
    for answer in (
        guarded_client.post(GENERATE, json={"prompt": "a", "userId": "bob"}, headers=ann),
        guarded_client.post(GENERATE, json={"prompt": "a", "userId": "cli-user"}, headers=ann),
        guarded_client.get("/api/images?userId=bob", headers=ann),
    ):
        assert (answer.status_code, answer.json["code"]) == (403, "ERR_FORBIDDEN")


def test_an_operator_sees_all_requests_and_submits_for_anyone(
    guarded_client: FlaskClient, key: Callable[..., Shown]
) -> None:
    olga, bob = key("olga", *Scope, operator=True), key("bob")
    theirs = submit(guarded_client, bob)
    assert guarded_client.get(f"/api/images/{theirs}", headers=olga).json["userId"] == "bob"
    assert [
        each["requestId"] for each in guarded_client.get("/api/images?userId=bob", headers=olga).json["images"]
    ] == [theirs]
    assert guarded_client.delete(f"/api/images/{theirs}", headers=olga).status_code == 200
    assert (
        guarded_client.get(f"/api/images/{submit(guarded_client, olga, userId='ann')}", headers=olga).json["userId"]
        == "ann"
    )


def test_an_operator_lists_all_requests_and_users_their_own(
    guarded_client: FlaskClient, key: Callable[..., Shown]
) -> None:
    olga, ann, bob = key("olga", *Scope, operator=True), key("ann"), key("bob")
    made = [submit(guarded_client, shown) for shown in (ann, bob, olga, bob)]

    def listed(shown: Shown, query: str = "") -> set[str]:
        return {each["requestId"] for each in guarded_client.get(f"/api/images{query}", headers=shown).json["images"]}

    assert listed(olga) == set(made)
    assert listed(olga, "?userId=olga") == {made[2]}
    assert listed(bob) == {made[1], made[3]}
    guarded_client.delete(f"/api/images/{made[1]}", headers=bob)
    assert listed(olga, "?status=cancelled") == {made[1]}
    first = guarded_client.get("/api/images?limit=3", headers=olga).json
    assert len(first["images"]) == 3
    assert len(listed(olga, f"?cursor={first['nextCursor']}")) == 1


def test_a_disabled_user_is_refused_with_every_key_and_token(
    guarded_client: FlaskClient, guarded: Services, key: Callable[..., Shown]
) -> None:
    ann = key("ann")
    token = bearer(guarded_client.post("/api/auth/token", headers=ann).json["token"])
    request_id = submit(guarded_client, ann)
    guarded.accounts.disable_user("ann")
    for shown in (ann, token):
        answer = guarded_client.get(f"/api/images/{request_id}", headers=shown)
        assert (answer.status_code, answer.json["code"]) == (401, "ERR_UNAUTHORIZED")
        assert 'error_description="The user is disabled."' in answer.headers["WWW-Authenticate"]
    guarded.accounts.enable_user("ann")
    assert guarded_client.get(f"/api/images/{request_id}", headers=token).status_code == 200


def test_an_operator_without_the_scope_is_a_user(guarded_client: FlaskClient, key: Callable[..., Shown]) -> None:
    olga, theirs = key("olga", Scope.READ, operator=True), submit(guarded_client, key("bob"))
    assert guarded_client.get(f"/api/images/{theirs}", headers=olga).status_code == 404


def test_an_operator_with_the_scope_admin_alone_sees_everything_and_changes_nothing(
    guarded_client: FlaskClient, key: Callable[..., Shown]
) -> None:
    operator, request_id = key("olga", Scope.ADMIN, operator=True), submit(guarded_client, key("ann"))
    listed = guarded_client.get("/api/images", headers=operator)
    assert [each["requestId"] for each in listed.json["images"]] == [request_id]
    assert guarded_client.get(f"/api/images/{request_id}", headers=operator).status_code == 200
    assert guarded_client.get("/api/extensions", headers=operator).status_code == 200
    assert guarded_client.delete(f"/api/images/{request_id}", headers=operator).status_code == 403
    assert guarded_client.post(GENERATE, json={"prompt": "a fox"}, headers=operator).status_code == 403


def test_a_key_is_limited_to_its_scopes(guarded_client: FlaskClient, key: Callable[..., Shown]) -> None:
    reads, writes = key("ann", Scope.READ), key("bob", Scope.WRITE)
    refused = guarded_client.post(GENERATE, json={"prompt": "a"}, headers=reads)
    assert (refused.status_code, refused.json["code"]) == (403, "ERR_FORBIDDEN")
    assert 'error="insufficient_scope", scope="write"' in refused.headers["WWW-Authenticate"]
    assert guarded_client.get("/api/images", headers=writes).status_code == 403
    assert guarded_client.get("/api/websocket/info", headers=writes).status_code == 200


def test_an_extension_may_query_only_the_address_of_the_socket(guarded_client: FlaskClient, guarded: Services) -> None:
    for token in (
        str(guarded.accounts.create_extension_token("painter")),
        guarded.accounts.issue_token("painter", Role.EXTENSION, list(Scope))[0],
    ):
        assert guarded_client.get("/api/websocket/info", headers=bearer(token)).status_code == 200
        assert guarded_client.get("/api/images", headers=bearer(token)).status_code == 403
        assert guarded_client.post(GENERATE, json={"prompt": "a"}, headers=bearer(token)).status_code == 403
        assert guarded_client.post("/api/auth/token", headers=bearer(token)).status_code == 403


def test_a_key_is_exchanged_for_a_token_that_can_be_revoked(
    guarded_client: FlaskClient, key: Callable[..., Shown]
) -> None:
    ann = key("ann")
    answer = guarded_client.post("/api/auth/token", headers=ann)
    assert answer.headers["Cache-Control"] == "no-store"
    assert {name: answer.json[name] for name in ("tokenType", "expiresIn", "scope")} == {
        "tokenType": "Bearer",
        "expiresIn": 3600,
        "scope": "read write",
    }
    token = bearer(answer.json["token"])
    request_id = submit(guarded_client, token)
    assert guarded_client.get(f"/api/images/{request_id}", headers=ann).json["userId"] == "ann"
    assert guarded_client.post("/api/auth/token", headers=token).status_code == 403
    assert guarded_client.delete("/api/auth/token", headers=ann).status_code == 403
    assert guarded_client.delete("/api/auth/token", headers=token).status_code == 204
    assert guarded_client.get("/api/images", headers=token).status_code == 401
    assert guarded_client.delete("/api/auth/token", headers=token).status_code == 401


def test_the_document_describes_the_authentication(client: FlaskClient, guarded_client: FlaskClient) -> None:
    left_open, needed = (each.get("/openapi.json").json for each in (client, guarded_client))
    assert left_open["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
    expected: list[tuple[Any, Any]] = [(left_open, [{}, {"bearer": []}]), (needed, [{"bearer": []}])]
    for document, generating in expected:
        assert document["paths"][GENERATE]["post"]["security"] == generating
        assert document["paths"]["/health"]["get"]["security"] == []
        assert document["paths"]["/api/auth/token"]["post"]["security"] == [{"bearer": []}]
        assert "401" in document["paths"][GENERATE]["post"]["responses"]
