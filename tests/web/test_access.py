"""Who asks over HTTP: what needs a key, who sees what, and what a refusal says."""

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
def door(guarded: Services) -> FlaskClient:
    """Speaks HTTP to them."""
    return create_app(guarded.settings, guarded).test_client()


@pytest.fixture
def key(guarded: Services) -> Callable[..., Shown]:
    """Makes a user with a key; the header that shows it."""

    def make(user: str, *scopes: Scope, operator: bool = False) -> Shown:
        guarded.accounts.create_user(user, Role.OPERATOR if operator else Role.USER)
        return bearer(str(guarded.accounts.create_key(user, scopes or (Scope.READ, Scope.WRITE))))

    return make


def bearer(token: str) -> Shown:
    return {"Authorization": f"Bearer {token}"}


def submit(door: FlaskClient, shown: Shown, **body: Any) -> str:
    answer = door.post(GENERATE, json={"prompt": "a fox", **body}, headers=shown)
    assert answer.status_code == 200, answer.text
    return str(answer.json["requestId"])


def test_what_is_public_needs_nothing_and_looks_at_nothing(door: FlaskClient) -> None:
    for path in PUBLIC:
        for shown in ({}, bearer("nonsense")):
            assert door.get(path, headers=shown).status_code in {200, 302}, path
    assert door.get("/generated-images/none.png").status_code == 404
    assert door.put(f"/api/uploads/{UNKNOWN}?attempt=1&expires=1&signature=x", data=b"x").status_code == 403


def test_everything_else_needs_a_key_or_a_token(door: FlaskClient) -> None:
    asked = 0
    for rule in door.application.url_map.iter_rules():
        path = rule.rule.replace("<id:request_id>", UNKNOWN).replace("<request_id>", UNKNOWN).replace("<file>", "a.png")
        if path in PUBLIC or path == "/ws" or path.startswith(("/static/", "/generated-images/", "/api/uploads/")):
            continue
        for method in (rule.methods or set()) - {"OPTIONS"}:
            asked += 1
            answer = door.open(path, method=method)
            assert answer.status_code == 401, (method, path)
            assert answer.headers["WWW-Authenticate"] == 'Bearer realm="imagefleet"'
            if method != "HEAD":
                assert answer.json["code"] == "ERR_UNAUTHORIZED"
                assert answer.content_type == "application/problem+json"
    assert asked >= 10


@pytest.mark.parametrize(
    "shown", ["Bearer nonsense", "Bearer a.b.c", "bearer imgk_0_0", "Bearer " + "x" * 6_000, "BEARER ünï"]
)
@pytest.mark.parametrize("mode", ["open", "required"])
def test_what_is_shown_and_bad_is_refused_in_every_mode(
    client: FlaskClient, door: FlaskClient, mode: str, shown: str
) -> None:
    speaker = client if mode == "open" else door
    answer = speaker.get("/api/images", headers={"Authorization": shown.encode().decode("latin-1")})
    assert answer.status_code == 401
    assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]
    assert "\n" not in answer.headers["WWW-Authenticate"]


def test_a_token_in_the_query_or_by_another_scheme_is_none(
    door: FlaskClient, guarded: Services, key: Callable[..., Shown]
) -> None:
    token = key("ann")["Authorization"].removeprefix("Bearer ")
    assert door.get(f"/api/images?access_token={token}&token={token}").status_code == 401
    assert door.get("/api/images", headers={"Authorization": f"Basic {token}"}).status_code == 401
    assert door.get("/api/images", headers={"X-Api-Key": token}).status_code == 401


def test_where_it_is_open_the_contract_holds_and_a_key_is_still_honoured(
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


def test_a_user_sees_calls_off_and_follows_only_what_is_theirs(door: FlaskClient, key: Callable[..., Shown]) -> None:
    ann, bob = key("ann"), key("bob")
    theirs = submit(door, bob)
    one = f"/api/images/{theirs}"
    for method, path in (
        ("GET", one),
        ("GET", f"{one}?wait=1"),
        ("GET", f"{one}/status"),
        ("GET", f"{one}/status?wait=1&since=0"),
        ("GET", f"{one}/events"),
        ("DELETE", one),
    ):
        foreign = door.open(path, method=method, headers=ann)
        unknown = door.open(path.replace(theirs, UNKNOWN), method=method, headers=ann)
        assert (foreign.status_code, unknown.status_code) == (404, 404), path
        assert foreign.json["detail"].replace(theirs, UNKNOWN) == unknown.json["detail"]
        upper = door.open(path.replace(theirs, theirs.upper()), method=method, headers=ann)
        assert upper.status_code == 404
    assert door.get("/api/images", headers=ann).json["images"] == []
    assert door.get(f"/api/images?cursor={'f' * 36}", headers=ann).json["images"] == []
    assert door.get(f"{one}/status", headers=bob).json["status"] == "accepted"
    assert door.delete(one, headers=bob).status_code == 200


def test_a_user_speaks_for_nobody_else(door: FlaskClient, key: Callable[..., Shown]) -> None:
    ann, _ = key("ann"), key("bob")
    assert door.get(f"/api/images/{submit(door, ann, userId='ann')}", headers=ann).json["userId"] == "ann"
    for answer in (
        door.post(GENERATE, json={"prompt": "a", "userId": "bob"}, headers=ann),
        door.post(GENERATE, json={"prompt": "a", "userId": "cli-user"}, headers=ann),
        door.get("/api/images?userId=bob", headers=ann),
    ):
        assert (answer.status_code, answer.json["code"]) == (403, "ERR_FORBIDDEN")


def test_an_operator_sees_all_and_speaks_for_anybody(door: FlaskClient, key: Callable[..., Shown]) -> None:
    olga, bob = key("olga", *Scope, operator=True), key("bob")
    theirs = submit(door, bob)
    assert door.get(f"/api/images/{theirs}", headers=olga).json["userId"] == "bob"
    assert [each["requestId"] for each in door.get("/api/images?userId=bob", headers=olga).json["images"]] == [theirs]
    assert door.delete(f"/api/images/{theirs}", headers=olga).status_code == 200
    assert door.get(f"/api/images/{submit(door, olga, userId='ann')}", headers=olga).json["userId"] == "ann"


def test_an_operator_lists_everybodys_requests_and_users_their_own(
    door: FlaskClient, key: Callable[..., Shown]
) -> None:
    olga, ann, bob = key("olga", *Scope, operator=True), key("ann"), key("bob")
    made = [submit(door, shown) for shown in (ann, bob, olga, bob)]

    def listed(shown: Shown, query: str = "") -> set[str]:
        return {each["requestId"] for each in door.get(f"/api/images{query}", headers=shown).json["images"]}

    assert listed(olga) == set(made)
    assert listed(olga, "?userId=olga") == {made[2]}
    assert listed(bob) == {made[1], made[3]}
    door.delete(f"/api/images/{made[1]}", headers=bob)
    assert listed(olga, "?status=cancelled") == {made[1]}
    first = door.get("/api/images?limit=3", headers=olga).json
    assert len(first["images"]) == 3
    assert len(listed(olga, f"?cursor={first['nextCursor']}")) == 1


def test_a_disabled_user_is_refused_with_every_key_and_token(
    door: FlaskClient, guarded: Services, key: Callable[..., Shown]
) -> None:
    ann = key("ann")
    token = bearer(door.post("/api/auth/token", headers=ann).json["token"])
    request_id = submit(door, ann)
    guarded.accounts.disable_user("ann")
    for shown in (ann, token):
        answer = door.get(f"/api/images/{request_id}", headers=shown)
        assert (answer.status_code, answer.json["code"]) == (401, "ERR_UNAUTHORIZED")
        assert 'error_description="The user is disabled."' in answer.headers["WWW-Authenticate"]
    guarded.accounts.enable_user("ann")
    assert door.get(f"/api/images/{request_id}", headers=token).status_code == 200


def test_an_operator_without_the_scope_is_a_user(door: FlaskClient, key: Callable[..., Shown]) -> None:
    olga, theirs = key("olga", Scope.READ, operator=True), submit(door, key("bob"))
    assert door.get(f"/api/images/{theirs}", headers=olga).status_code == 404


def test_a_key_does_what_its_scopes_say(door: FlaskClient, key: Callable[..., Shown]) -> None:
    reads, writes = key("ann", Scope.READ), key("bob", Scope.WRITE)
    refused = door.post(GENERATE, json={"prompt": "a"}, headers=reads)
    assert (refused.status_code, refused.json["code"]) == (403, "ERR_FORBIDDEN")
    assert 'error="insufficient_scope", scope="write"' in refused.headers["WWW-Authenticate"]
    assert door.get("/api/images", headers=writes).status_code == 403
    assert door.get("/api/websocket/info", headers=writes).status_code == 200


def test_an_extension_asks_where_the_socket_is_and_nothing_else(door: FlaskClient, guarded: Services) -> None:
    for token in (
        str(guarded.accounts.create_extension_token("painter")),
        guarded.accounts.issue_token("painter", Role.EXTENSION, list(Scope))[0],
    ):
        assert door.get("/api/websocket/info", headers=bearer(token)).status_code == 200
        assert door.get("/api/images", headers=bearer(token)).status_code == 403
        assert door.post(GENERATE, json={"prompt": "a"}, headers=bearer(token)).status_code == 403
        assert door.post("/api/auth/token", headers=bearer(token)).status_code == 403


def test_a_key_is_exchanged_for_a_token_which_is_revoked(door: FlaskClient, key: Callable[..., Shown]) -> None:
    ann = key("ann")
    answer = door.post("/api/auth/token", headers=ann)
    assert answer.headers["Cache-Control"] == "no-store"
    assert {name: answer.json[name] for name in ("tokenType", "expiresIn", "scope")} == {
        "tokenType": "Bearer",
        "expiresIn": 3600,
        "scope": "read write",
    }
    token = bearer(answer.json["token"])
    request_id = submit(door, token)
    assert door.get(f"/api/images/{request_id}", headers=ann).json["userId"] == "ann"
    assert door.post("/api/auth/token", headers=token).status_code == 403
    assert door.delete("/api/auth/token", headers=ann).status_code == 403
    assert door.delete("/api/auth/token", headers=token).status_code == 204
    assert door.get("/api/images", headers=token).status_code == 401
    assert door.delete("/api/auth/token", headers=token).status_code == 401


def test_the_document_says_what_is_needed(client: FlaskClient, door: FlaskClient) -> None:
    left_open, needed = (each.get("/openapi.json").json for each in (client, door))
    assert left_open["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
    expected: list[tuple[Any, Any]] = [(left_open, [{}, {"bearer": []}]), (needed, [{"bearer": []}])]
    for document, generating in expected:
        assert document["paths"][GENERATE]["post"]["security"] == generating
        assert document["paths"]["/health"]["get"]["security"] == []
        assert document["paths"]["/api/auth/token"]["post"]["security"] == [{"bearer": []}]
        assert "401" in document["paths"][GENERATE]["post"]["responses"]
