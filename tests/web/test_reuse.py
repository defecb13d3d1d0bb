"""The field `cache` over HTTP."""

from __future__ import annotations

import json
from typing import Any

import pytest
from flask.testing import FlaskClient

from app.container import Services
from tests.support.downloads import PNG
from tests.support.fakes import Bench
from tests.support.harness import PICTURE, Harness

GENERATE = "/api/images/generate"


def submit(client: FlaskClient, cache: str | None = None, key: str | None = None, **more: Any) -> Any:
    headers = {} if key is None else {"Idempotency-Key": key}
    answer = client.post(GENERATE, json={"prompt": "a fox", "cache": cache, **more}, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json


def read(client: FlaskClient, path: str) -> Any:
    return client.get(path).json


@pytest.fixture
def completed(client: FlaskClient, bench: Bench, services: Services) -> str:
    """The id of a completed request."""
    harness = Harness(bench, services)
    bench.fetch.answers[PICTURE] = PNG
    request_id: str = submit(client)["requestId"]
    holder = harness.connect()
    assert harness.assign() == 1
    harness.report_image(holder, services.lookup.details(request_id).job)
    harness.run_downloads()
    return request_id


@pytest.mark.parametrize("cache", ["prefer", "only"])
def test_a_hit_is_accepted_and_completed_with_a_picture_of_its_own(
    client: FlaskClient, completed: str, cache: str
) -> None:
    accepted = submit(client, cache)
    assert (accepted["status"], accepted["cached"], accepted["cachedFrom"]) == ("accepted", True, completed)
    assert not {"follows", "queue"} & set(accepted)
    address = f"/api/images/{accepted['requestId']}"
    status, result, source = (read(client, path) for path in (f"{address}/status", address, f"/api/images/{completed}"))
    for answer in (status, result):
        assert (answer["status"], answer["cached"], answer["cachedFrom"]) == ("completed", True, completed)
        assert "follows" not in answer
    assert result["imagePath"] != source["imagePath"]
    assert accepted["requestId"] in result["imagePath"]
    assert client.get(result["imagePath"]).data == client.get(source["imagePath"]).data


def test_a_follower_names_the_request_that_it_follows_until_it_ends(client: FlaskClient) -> None:
    leader = submit(client)
    accepted = submit(client, "prefer")
    assert accepted["follows"] == leader["requestId"]
    address = f"/api/images/{accepted['requestId']}"
    for answer in (read(client, f"{address}/status"), read(client, address)):
        assert answer["follows"] == leader["requestId"]
        assert answer["queue"]["reason"].startswith("An identical request of yours is in progress")
    for answer in (accepted, leader):
        assert not {"cached", "cachedFrom"} & set(answer)
    client.delete(address)
    assert "follows" not in read(client, address)


def test_without_cache_answers_say_nothing_of_it(client: FlaskClient, completed: str) -> None:
    for cache in (None, "off"):
        accepted = submit(client, cache)
        assert not {"cached", "cachedFrom", "follows"} & set(accepted)
        result = read(client, f"/api/images/{accepted['requestId']}")
        assert not {"cached", "cachedFrom", "follows"} & set(result)


def test_a_repetition_of_a_hit_gets_the_same_answer(client: FlaskClient, completed: str) -> None:
    assert submit(client, "prefer", "key-1") == submit(client, "prefer", "key-1")
    assert len(client.get("/api/images").json["images"]) == 2


def test_what_is_not_cached_is_refused_and_its_key_stays_free(client: FlaskClient) -> None:
    body = {"prompt": "a fox", "cache": "only"}
    for _ in range(2):
        answer = client.post(GENERATE, json=body, headers={"Idempotency-Key": "key-1"})
        assert (answer.status_code, answer.json["code"]) == (404, "ERR_NOT_CACHED")
        assert "cache" in answer.json["detail"]
    assert client.get("/api/images").json["images"] == []


@pytest.mark.parametrize("value", ["Prefer", "", "no", True, 1, [], {}, "prefer\x00"], ids=repr)
def test_another_value_is_refused_by_name(client: FlaskClient, value: Any) -> None:
    answer = client.post(GENERATE, json={"prompt": "a fox", "cache": value})
    assert (answer.status_code, answer.json["code"]) == (400, "ERR_INVALID_REQUEST")
    assert answer.json["detail"] == "cache must be one of off, prefer, only."


def test_the_document_describes_field_answers_and_refusal(client: FlaskClient) -> None:
    document = client.get("/openapi.json").json
    schemas = document["components"]["schemas"]
    assert schemas["GenerateRequest"]["properties"]["cache"]["enum"] == ["off", "prefer", "only", None]
    for model in ("Accepted", "RequestStatus", "RequestResult"):
        assert {"cached", "cachedFrom", "follows"} <= set(schemas[model]["properties"])
    assert "ERR_NOT_CACHED" in json.dumps(document["paths"][GENERATE]["post"]["responses"]["404"])
