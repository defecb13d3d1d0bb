"""Variations of results over HTTP: what they are made from, and how results show it."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import Connection

from app.container import Services
from app.db import jobs
from app.domain.access import Role, Scope
from app.factory import create_app
from tests.support.fakes import Bench
from tests.support.painter import Painter
from tests.support.statements import recorded_statements

UNKNOWN = "550e8400-e29b-41d4-a716-446655440000"


@pytest.fixture
def painter() -> Painter:
    """An extension that makes pictures and variations of them."""
    return Painter("*", "image-variation")


@pytest.fixture
def services(bench: Bench, painter: Painter) -> Services:
    """The services, with that extension."""
    return painter.services(bench)


@pytest.fixture
def client(services: Services) -> FlaskClient:
    return create_app(services.settings, services).test_client()


def make(client: FlaskClient, services: Services, **body: Any) -> str:
    """The id of a request that is completed."""
    answer = client.post("/api/images/generate", json={"prompt": "a fox", **body})
    assert answer.status_code == 200, answer.text
    services.download.run()
    request_id: str = answer.json["requestId"]
    assert client.get(f"/api/images/{request_id}").json["status"] == "completed"
    return request_id


def get(client: FlaskClient, path: str) -> Any:
    return client.get(path).json


def vary(client: FlaskClient, request_id: str, body: Any = None, **more: Any) -> Any:
    return client.post(f"/api/images/{request_id}/variations", json=body, **more)


def test_a_variation_is_a_request_like_its_parent_made_from_its_picture(
    client: FlaskClient, services: Services, painter: Painter
) -> None:
    parameters = {"numberOfImages": 2, "seed": 7}
    parent = make(client, services, model="Flux", parameters=parameters, userId="ann")
    answer = vary(client, parent, {"numberOfImages": 3, "strength": 0.4, "prompt": "a fox in snow", "position": 1})
    assert answer.status_code == 200, answer.text
    job = painter.received[-1]
    assert (job["prompt"], job["model"], job["userId"]) == ("a fox in snow", "Flux", "ann")
    assert job["parameters"] == {"numberOfImages": 3, "seed": 7}
    [picture] = job["inputImages"]
    images = client.get(f"/api/images/{parent}").json["images"]
    assert (picture["sha256"], picture["strength"], picture["role"]) == (images[1]["sha256"], 0.4, "image")
    services.download.run()
    result = client.get(f"/api/images/{answer.json['requestId']}").json
    assert (result["status"], result["parentId"], len(result["images"])) == ("completed", parent, 3)


def test_without_a_body_everything_is_as_in_the_parent(
    client: FlaskClient, services: Services, painter: Painter
) -> None:
    parent = make(client, services, parameters={"numberOfImages": 2}, style="noir")
    first = painter.received[-1]
    assert client.post(f"/api/images/{parent}/variations").status_code == 200
    assert {name: painter.received[-1][name] for name in ("prompt", "model", "parameters", "userId")} == {
        name: first[name] for name in ("prompt", "model", "parameters", "userId")
    }


def test_a_parent_shows_its_children_and_lists_find_them(client: FlaskClient, services: Services) -> None:
    parent = make(client, services)
    assert get(client, f"/api/images/{parent}").get("children") is None
    children = [vary(client, parent).json["requestId"] for _ in range(3)]
    services.download.run()
    grandchild = vary(client, children[0]).json["requestId"]
    newest_first = children[::-1]
    assert client.get(f"/api/images/{parent}").json["children"] == newest_first
    assert client.get(f"/api/images/{children[0]}").json["children"] == [grandchild]
    listed = client.get(f"/api/images?parentId={parent}").json["images"]
    assert [each["requestId"] for each in listed] == newest_first
    everything = client.get("/api/images").json["images"]
    shown = {each["requestId"]: each["children"] for each in everything if "children" in each}
    assert shown == {parent: newest_first, children[0]: [grandchild]}
    page = client.get(f"/api/images?parentId={parent}&limit=2&status=completed").json
    rest = client.get(f"/api/images?parentId={parent}&limit=2&cursor={page['nextCursor']}").json
    assert [each["requestId"] for each in page["images"] + rest["images"]] == newest_first
    assert client.get(f"/api/images?parentId={UNKNOWN}").json["images"] == []
    assert client.get("/api/images?parentId=nonsense").status_code == 400


def test_there_are_no_variations_of_what_does_not_exist(
    client: FlaskClient, services: Services, painter: Painter
) -> None:
    done = make(client, services)
    painter.idle = True
    waiting = client.post("/api/images/generate", json={"prompt": "a fox"}).json["requestId"]
    for request_id, body, status, code in (
        (UNKNOWN, {}, 404, "ERR_NOT_FOUND"),
        ("nonsense", {}, 404, "ERR_NOT_FOUND"),
        (waiting, {}, 409, "ERR_NOT_COMPLETED"),
        (done, {"position": 1}, 400, "ERR_INVALID_REQUEST"),
        (done, {"position": -1}, 400, "ERR_INVALID_REQUEST"),
        (done, {"strength": 2}, 400, "ERR_INVALID_REQUEST"),
        (done, {"numberOfImages": 11}, 400, "ERR_INVALID_REQUEST"),
        (done, {"prompt": " "}, 400, "ERR_INVALID_PROMPT"),
        (done, {"model": "flux"}, 400, "ERR_INVALID_REQUEST"),
    ):
        refused = vary(client, request_id, body)
        assert (refused.status_code, refused.json["code"]) == (status, code), refused.text


def test_a_variation_is_kept_as_long_as_its_parent_unless_it_says_otherwise(
    client: FlaskClient, services: Services
) -> None:
    parent, for_ever = make(client, services, keep=3), make(client, services)
    varied = [vary(client, parent), vary(client, parent, {"keep": 9}), vary(client, for_ever)]
    found = [services.lookup.details(each.json["requestId"], None) for each in varied]
    assert [each.job.keep_days for each in found] == [3, 9, None]
    assert vary(client, parent, {"keep": 0}).json["detail"] == "keep must be a whole number from 1 to 3,650."


def test_refusals_name_what_the_request_has_and_the_body_may_have(client: FlaskClient, services: Services) -> None:
    one, two = make(client, services), make(client, services, parameters={"numberOfImages": 2})
    for request_id, body, detail in (
        (one, {"position": 1}, "position must be below 1: the request has one picture."),
        (two, {"position": 2}, "position must be below 2: the request has 2 pictures."),
        (
            one,
            {"model": "flux"},
            "The body contains an unknown field: model. There are prompt, numberOfImages, strength, position, keep.",
        ),
    ):
        assert vary(client, request_id, body).json["detail"] == detail


def test_a_removed_picture_has_no_variations(client: FlaskClient, services: Services, bench: Bench) -> None:
    parent = make(client, services)
    name = client.get(f"/api/images/{parent}").json["imagePath"].rpartition("/")[2]
    services.ports.store.delete(name)
    answer = vary(client, parent)
    assert (answer.status_code, answer.json["code"]) == (400, "ERR_UNKNOWN_INPUT")


def test_pictures_that_their_owner_has_removed_have_no_variations(client: FlaskClient, services: Services) -> None:
    parent = make(client, services)
    assert client.delete(f"/api/images/{parent}/pictures").status_code == 200
    answer = vary(client, parent)
    assert (answer.status_code, answer.json["code"]) == (410, "ERR_GONE")
    body = {"prompt": "a fox", "inputImages": [{"requestId": parent}]}
    named = client.post("/api/images/generate", json=body)
    assert (named.status_code, named.json["code"]) == (400, "ERR_UNKNOWN_INPUT")


def test_a_repetition_with_a_key_is_accepted_once(client: FlaskClient, services: Services) -> None:
    parent, other = make(client, services), make(client, services)
    headers = {"Idempotency-Key": "a-key"}
    first, again = (vary(client, parent, {"strength": 0.5}, headers=headers) for _ in range(2))
    assert first.json == again.json
    assert again.headers["Idempotency-Replayed"] == "true"
    assert vary(client, other, {"strength": 0.5}, headers=headers).status_code == 422
    assert len(client.get(f"/api/images/{parent}").json["children"]) == 1


def test_variations_are_made_of_own_requests_only(bench: Bench, painter: Painter) -> None:
    services = painter.services(bench.with_settings(auth_required=True))
    client = create_app(services.settings, services).test_client()
    keys = {}
    for name in ("ann", "ben"):
        services.accounts.create_user(name, Role.USER)
        key = services.accounts.create_key(name, (Scope.READ, Scope.WRITE))
        keys[name] = {"Authorization": f"Bearer {key}"}
    parent = client.post("/api/images/generate", json={"prompt": "a fox"}, headers=keys["ann"]).json["requestId"]
    services.download.run()
    assert vary(client, parent, {}, headers=keys["ben"]).status_code == 404
    assert vary(client, parent, {}, headers=keys["ann"]).status_code == 200
    assert client.get(f"/api/images?parentId={parent}", headers=keys["ben"]).json["images"] == []


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_children_are_found_by_an_index(bench: Bench) -> None:
    def work(connection: Connection) -> list[Any]:
        jobs.children(connection, [UNKNOWN, UNKNOWN], 10)
        return jobs.of_parent(connection, UNKNOWN, "ann", None, None, 10)

    with recorded_statements() as statements:
        bench.database.read(work)
    assert len(statements) == 2
    for text, values in statements:
        plan = bench.database.read(
            lambda c, text=text, values=values: [  # type: ignore[misc]
                row[3] for row in c.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", values)
            ]
        )
        assert any("ix_jobs_parent" in line for line in plan), plan
        assert not any("TEMP B-TREE" in line for line in plan), plan
