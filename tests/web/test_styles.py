"""Styles over HTTP: who may do what, what is refused, and what results show."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from flask.testing import FlaskClient

from app import container
from app.container import Services
from app.domain.access import Role, Scope
from app.factory import create_app
from app.services import styles as service
from tests.support.fakes import Bench

STYLES = "/api/styles"
GENERATE = "/api/images/generate"
INK: dict[str, Any] = {
    "name": "Ink",
    "template": "{prompt}, {medium}, {light}",
    "variables": {"medium": "ink", "light": None},
    "model": "flux",
    "parameters": {"width": 64, "nested": {"a": None}},
    "description": "Lines.",
}
Headers = dict[str, str]


def names(client: FlaskClient, query: str = "", headers: Headers | None = None) -> list[str]:
    answer = client.get(f"{STYLES}{query}", headers=headers)
    assert answer.status_code == 200, answer.text
    return [each["name"] for each in answer.json["styles"]]


def test_a_style_is_shown_as_it_was_defined(client: FlaskClient) -> None:
    created = client.post(STYLES, json=INK)
    assert created.status_code == 201
    assert created.json == client.get(f"{STYLES}/ink").json
    times = {name: created.json[name] for name in ("createdAt", "updatedAt")}
    assert created.json == {**INK, "shared": False, "userId": "cli-user", **times}
    assert names(client) == ["Ink", "manga", "noir", "watercolour"]


def test_a_result_shows_what_was_sent_beside_what_the_style_made_of_it(client: FlaskClient) -> None:
    client.post(STYLES, json=INK)
    body = {
        "prompt": "a fox",
        "style": "INK",
        "variables": {"light": "dusk", "medium": None},
        "parameters": {"seed": 7},
    }
    request_id = client.post(GENERATE, json=body).json["requestId"]
    client.delete(f"{STYLES}/ink")
    listed = client.get("/api/images").json["images"][0]
    for result in (client.get(f"/api/images/{request_id}").json, listed):
        assert (result["style"], result["variables"], result["originalPrompt"]) == ("Ink", {"light": "dusk"}, "a fox")
        assert result["metadata"] == {"model": "flux", "prompt": "a fox, ink, dusk"}
        assert result["parameters"] == {"width": 64, "nested": {"a": None}, "seed": 7}


def test_a_repetition_is_answered_as_before_although_the_style_is_gone(client: FlaskClient) -> None:
    client.post(STYLES, json=INK)
    body = {"prompt": "a fox", "style": "ink", "variables": {"light": "dusk"}}
    headers = {"Idempotency-Key": '"key-1"'}
    first = client.post(GENERATE, json=body, headers=headers)
    client.delete(f"{STYLES}/ink")
    again = client.post(GENERATE, json=body, headers=headers)
    assert (again.status_code, again.json) == (200, first.json)
    other = client.post(GENERATE, json={**body, "variables": {"light": "dawn"}}, headers=headers)
    assert (other.status_code, other.json["code"]) == (422, "ERR_IDEMPOTENCY_KEY_REUSED")


def test_a_result_without_a_style_shows_none(client: FlaskClient) -> None:
    body = {"prompt": "a fox", "style": None, "variables": None, "parameters": {"style": "natural"}}
    request_id = client.post(GENERATE, json=body).json["requestId"]
    result: Any = client.get(f"/api/images/{request_id}").json
    assert not {"style", "variables", "originalPrompt"} & set(result)
    assert result["parameters"] == {"style": "natural"}


def test_a_style_without_variables_of_the_request_shows_none_of_them(client: FlaskClient) -> None:
    request_id = client.post(GENERATE, json={"prompt": "a fox", "style": "noir"}).json["requestId"]
    result: Any = client.get(f"/api/images/{request_id}").json
    assert (result["style"], result["variables"], result["originalPrompt"]) == ("noir", {}, "a fox")
    assert result["metadata"]["model"] == "dall-e-3"


REFUSED: list[tuple[Any, str, str]] = [
    ({"style": "nior"}, "ERR_UNKNOWN_STYLE", "style names no style of yours or of everybody: nior. Did you mean noir?"),
    ({"style": "natural"}, "ERR_UNKNOWN_STYLE", "parameters.style"),
    ({"style": ""}, "ERR_INVALID_REQUEST", "style"),
    ({"style": "x" * 65}, "ERR_INVALID_REQUEST", "style"),
    ({"style": "{prompt}"}, "ERR_INVALID_REQUEST", "style"),
    ({"style": 7}, "ERR_INVALID_REQUEST", "style"),
    ({"style": ["noir"]}, "ERR_INVALID_REQUEST", "style"),
    ({"style": "noir\x00"}, "ERR_INVALID_REQUEST", "style"),
    ({"style": "noir", "variables": {"light": "dusk"}}, "ERR_INVALID_VARIABLES", "light"),
    ({"style": "ink"}, "ERR_INVALID_VARIABLES", "light"),
    ({"style": "ink", "variables": {"light": None}}, "ERR_INVALID_VARIABLES", "light"),
    ({"style": "ink", "variables": {"light": 7}}, "ERR_INVALID_VARIABLES", "variables.light"),
    ({"style": "ink", "variables": {"light": "x" * 1_001}}, "ERR_INVALID_VARIABLES", "variables.light"),
    ({"style": "ink", "variables": {"light": "\x1b[31m"}}, "ERR_INVALID_VARIABLES", "variables.light"),
    ({"style": "ink", "variables": {"light": "\ud800"}}, "ERR_INVALID_VARIABLES", "variables.light"),
    ({"style": "ink", "variables": {"light": {"light": {}}}}, "ERR_INVALID_VARIABLES", "variables.light"),
    ({"style": "ink", "variables": {"x" * 70_000: "x"}}, "ERR_INVALID_VARIABLES", "variables"),
    ({"style": "ink", "variables": []}, "ERR_INVALID_VARIABLES", "variables"),
    ({"style": "ink", "variables": {f"v{n}": "" for n in range(33)}}, "ERR_INVALID_VARIABLES", "variables"),
    ({"variables": {"light": "dusk"}}, "ERR_INVALID_VARIABLES", "style"),
    ({"style": "ink", "variables": {"light": "x"}, "prompt": "x" * 8_000}, "ERR_INVALID_PROMPT", "the style Ink"),
    ({"style": "ink", "variables": {"light": "x"}, "prompt": " "}, "ERR_INVALID_PROMPT", "prompt"),
    ({"style": "bomb", "prompt": "x" * 8_000}, "ERR_INVALID_PROMPT", "8,000,000 characters"),
    (
        {"style": "ink", "variables": {"light": "x"}, "parameters": {f"p{n}": 1 for n in range(49)}},
        "ERR_INVALID_REQUEST",
        "parameters",
    ),
]


@pytest.mark.parametrize(("body", "code", "named"), REFUSED)
def test_a_request_that_does_not_fit_its_style_is_refused_by_name(
    client: FlaskClient, body: dict[str, Any], code: str, named: str
) -> None:
    client.post(STYLES, json=INK)
    client.post(STYLES, json={"name": "bomb", "template": "{prompt}" * 1_000})
    answer = client.post(GENERATE, json={"prompt": "a fox", **body})
    assert (answer.status_code, answer.json["code"]) == (400, code)
    assert named in answer.json["detail"]
    assert len(answer.json["detail"]) < 500
    assert client.get("/api/images").json["images"] == []


INVALID: list[tuple[Any, str]] = [
    ({"name": None}, "name"),
    ({"name": "a/b"}, "name"),
    ({"name": ""}, "name"),
    ({"name": "x" * 65}, "name"),
    ({"template": None}, "template"),
    ({"template": ""}, "template"),
    ({"template": 7}, "template"),
    ({"template": "ink"}, "template"),
    ({"template": "{prompt} {"}, "template"),
    ({"template": "{prompt}}"}, "template"),
    ({"template": "{prompt} {ink} {medium} {light}"}, "template"),
    ({"template": "{prompt} {Ink}", "variables": None}, "template"),
    ({"template": "{prompt}"}, "variables"),
    ({"template": "{prompt}" + "x" * 8_000}, "template"),
    ({"template": "{prompt}" + "{{" * 50_000}, "template"),
    ({"template": "{prompt} {medium} {light}\x00"}, "template"),
    ({"variables": {"prompt": "x"}}, "variables"),
    ({"variables": {"a b": "x"}}, "variables"),
    ({"variables": {"medium": 7, "light": None}}, "variables.medium"),
    ({"variables": "medium"}, "variables"),
    ({"variables": ["medium"]}, "variables"),
    ({"variables": {"medium": "x" * 1_001, "light": None}}, "variables.medium"),
    ({"model": "a\nb"}, "model"),
    ({"model": 7}, "model"),
    ({"parameters": {"width": 0}}, "parameters.width"),
    ({"parameters": []}, "parameters"),
    ({"parameters": {f"p{n}": 1 for n in range(51)}}, "parameters"),
    ({"description": "x" * 501}, "description"),
    ({"description": 7}, "description"),
    ({"description": "\x1b[31m"}, "description"),
    ({"shared": "yes"}, "shared"),
    ({"userId": "a b"}, "userId"),
    ({"unknown": 1}, "unknown"),
]


@pytest.mark.parametrize(("change", "named"), INVALID)
def test_an_invalid_style_is_refused_by_name(client: FlaskClient, change: dict[str, Any], named: str) -> None:
    answer = client.post(STYLES, json={**INK, **change})
    assert (answer.status_code, answer.json["code"]) == (400, "ERR_INVALID_REQUEST")
    assert named in answer.json["detail"]
    assert names(client) == ["manga", "noir", "watercolour"]


@pytest.mark.parametrize("change", [change for change, named in INVALID if named not in {"name", "shared", "userId"}])
def test_a_style_is_not_replaced_by_an_invalid_one(client: FlaskClient, change: dict[str, Any]) -> None:
    before = client.post(STYLES, json=INK).json
    fields = {name: value for name, value in INK.items() if name != "name"}
    assert client.put(f"{STYLES}/ink", json={**fields, **change}).status_code == 400
    assert client.get(f"{STYLES}/ink").json == before


@pytest.mark.parametrize("name", ["none", "%00", "..", "a%0a", "%F0%9F%A6%8A", "x" * 3_000, "%2e%2e"])
def test_a_style_that_does_not_exist_is_not_found(client: FlaskClient, name: str) -> None:
    for method in ("GET", "PUT", "DELETE"):
        answer = client.open(f"{STYLES}/{name}", method=method, json={"template": "{prompt}"})
        assert (answer.status_code, answer.json["code"]) == (404, "ERR_NOT_FOUND"), method


def test_a_name_that_is_taken_is_refused(client: FlaskClient) -> None:
    client.post(STYLES, json=INK)
    answer = client.post(STYLES, json={**INK, "name": "INK"})
    assert (answer.status_code, answer.json["code"]) == (409, "ERR_ALREADY_EXISTS")
    assert client.post(STYLES, json={**INK, "userId": "bob"}).status_code == 201
    assert client.post(STYLES, json={**INK, "shared": True}).status_code == 201


def test_too_many_styles_are_refused(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "STYLES_EACH", 0)
    answer = client.post(STYLES, json=INK)
    assert (answer.status_code, answer.json["code"]) == (409, "ERR_TOO_MANY_STYLES")


def test_repeating_a_removal_never_removes_everybodys(client: FlaskClient) -> None:
    client.post(STYLES, json={**INK, "name": "noir"})
    answers = [client.delete(f"{STYLES}/noir").status_code for _ in range(3)]
    assert answers == [204, 404, 404]
    assert names(client) == ["manga", "noir", "watercolour"]
    assert client.delete(f"{STYLES}/noir?shared=true").status_code == 204
    assert names(client) == ["manga", "watercolour"]


def test_a_list_has_pages(client: FlaskClient) -> None:
    first = client.get(f"{STYLES}?limit=2").json
    assert [each["name"] for each in first["styles"]] == ["manga", "noir"]
    second: Any = client.get(f"{STYLES}?limit=2&cursor={first['nextCursor']}").json
    assert [each["name"] for each in second["styles"]] == ["watercolour"]
    assert "nextCursor" not in second


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=101", "limit=x", "cursor=..", "cursor=%00", "shared=x", "userId=a b"]
)
def test_an_invalid_query_is_refused_by_name(client: FlaskClient, query: str) -> None:
    answer = client.get(f"{STYLES}?{query}")
    assert (answer.status_code, answer.json["code"]) == (400, "ERR_INVALID_REQUEST")
    assert query.partition("=")[0] in answer.json["detail"]


@pytest.fixture
def guarded_client(guarded: Services) -> FlaskClient:
    """An HTTP client of the application with required authentication."""
    return create_app(guarded.settings, guarded).test_client()


def key(guarded: Services, user: str, *scopes: Scope, operator: bool = False) -> Headers:
    """The header with a key of a new user."""
    guarded.accounts.create_user(user, Role.OPERATOR if operator else Role.USER)
    secret = guarded.accounts.create_key(user, scopes or (Scope.READ, Scope.WRITE))
    return {"Authorization": f"Bearer {secret}"}


def test_a_users_styles_belong_to_the_owner_of_the_key(guarded_client: FlaskClient, guarded: Services) -> None:
    ann, bob = key(guarded, "ann"), key(guarded, "bob")
    assert guarded_client.post(STYLES, json=INK, headers=ann).json["userId"] == "ann"
    assert guarded_client.get(f"{STYLES}/ink", headers=bob).status_code == 404
    assert guarded_client.delete(f"{STYLES}/ink", headers=bob).status_code == 404
    for method, path in (
        ("GET", STYLES),
        ("GET", f"{STYLES}/ink"),
        ("DELETE", f"{STYLES}/ink"),
        ("PUT", f"{STYLES}/ink"),
    ):
        answer = guarded_client.open(f"{path}?userId=ann", method=method, json={"template": "{prompt}"}, headers=bob)
        assert (answer.status_code, answer.json["code"]) == (403, "ERR_FORBIDDEN"), method
    assert guarded_client.post(STYLES, json={**INK, "userId": "ann"}, headers=bob).status_code == 403
    body = {"prompt": "a fox", "style": "ink", "variables": {"light": "dusk"}}
    assert guarded_client.post(GENERATE, json=body, headers=ann).status_code == 200
    assert guarded_client.post(GENERATE, json=body, headers=bob).json["code"] == "ERR_UNKNOWN_STYLE"


def test_only_operators_change_everybodys_styles(guarded_client: FlaskClient, guarded: Services) -> None:
    ann = key(guarded, "ann")
    olga = key(guarded, "olga", Scope.READ, Scope.WRITE, Scope.ADMIN, operator=True)
    changes = (
        ("POST", STYLES, {**INK, "shared": True}, 201),
        ("PUT", f"{STYLES}/ink?shared=true", {"template": "{prompt}"}, 200),
        ("DELETE", f"{STYLES}/noir?shared=true", None, 204),
    )
    for method, path, body, status in changes:
        refused = guarded_client.open(path, method=method, json=body, headers=ann)
        assert (refused.status_code, refused.json["code"]) == (403, "ERR_FORBIDDEN"), method
        assert guarded_client.open(path, method=method, json=body, headers=olga).status_code == status, method
    assert names(guarded_client, headers=ann) == ["Ink", "manga", "watercolour"]


def test_an_operator_defines_a_style_for_a_user(guarded_client: FlaskClient, guarded: Services) -> None:
    ann = key(guarded, "ann")
    olga = key(guarded, "olga", Scope.READ, Scope.WRITE, Scope.ADMIN, operator=True)
    assert guarded_client.post(STYLES, json={**INK, "userId": "ann"}, headers=olga).json["userId"] == "ann"
    assert "Ink" in names(guarded_client, headers=ann)
    assert "Ink" not in names(guarded_client, headers=olga)


def test_a_key_that_may_only_read_changes_no_style(guarded_client: FlaskClient, guarded: Services) -> None:
    reader = key(guarded, "ann", Scope.READ)
    assert names(guarded_client, headers=reader) == ["manga", "noir", "watercolour"]
    for method, path in (("POST", STYLES), ("PUT", f"{STYLES}/ink"), ("DELETE", f"{STYLES}/ink")):
        answer = guarded_client.open(path, method=method, json=INK, headers=reader)
        assert answer.status_code == 403
        assert 'scope="write"' in answer.headers["WWW-Authenticate"]


def test_defining_styles_is_limited_and_uses_up_no_submissions(bench: Bench) -> None:
    limits = dataclasses.replace(bench.ports.settings.limits, rate_requests=1, rate_burst=1, rate_window_ms=3_600_000)
    services = container.build(bench.with_settings(limits=limits).ports)
    client = create_app(services.settings, services).test_client()
    answers = [client.post(STYLES, json={**INK, "name": name}) for name in ("a", "b")]
    assert [answer.status_code for answer in answers] == [201, 429]
    assert int(answers[1].headers["Retry-After"]) > 0
    assert client.post(GENERATE, json={"prompt": "a fox"}).status_code == 200
