"""Removing pictures over HTTP."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from app.container import Services
from app.domain.access import Role, Scope
from app.domain.messages import ImageGenerated
from app.domain.retention import DAY_MS, Retention
from app.factory import create_app
from tests.support.downloads import OTHER, PNG, URL
from tests.support.fakes import Bench
from tests.support.harness import Harness
from tests.support.webhooks import Receiver, deliver

NOBODY = "/api/images/550e8400-e29b-41d4-a716-446655440000/pictures"


@pytest.fixture
def harness(bench: Bench, services: Services) -> Harness:
    """A harness on the services of the application, and two pictures that can be fetched."""
    bench.fetch.answers.update({URL: PNG, OTHER: PNG})
    return Harness(bench, services)


def made(harness: Harness, **request: Any) -> str:
    """The id of a completed request with two pictures."""
    holder, job = harness.connect_and_start(**request)
    harness.services.generation.report(holder, ImageGenerated(request_id=job.id, image_urls=(URL, OTHER)))
    harness.run_downloads()
    return job.id


def test_the_addresses_of_removed_pictures_answer_410_and_the_request_says_so(
    client: FlaskClient, harness: Harness
) -> None:
    request_id = made(harness)
    before: Any = client.get(f"/api/images/{request_id}").json
    etag = client.get(before["imagePath"]).headers["ETag"]
    removed: Any = client.delete(f"/api/images/{request_id}/pictures")
    assert removed.status_code == 200
    assert set(removed.json) == {"requestId", "picturesRemovedAt", "correlationId", "timestamp"}
    for each in before["images"]:
        for headers in ({}, {"If-None-Match": etag}, {"Range": "bytes=0-1"}):
            answer = client.get(each["imagePath"], headers=headers)
            assert (answer.status_code, answer.json["code"]) == (410, "ERR_GONE")
            assert "immutable" not in answer.headers.get("Cache-Control", "")
    after: Any = client.get(f"/api/images/{request_id}").json
    assert after["picturesRemovedAt"] == removed.json["picturesRemovedAt"]
    assert not {"images", "imagePath", "imageUrl", "keepUntil"} & set(after)
    assert after["status"] == "completed"
    assert after["metadata"] == before["metadata"]
    [listed] = client.get("/api/images").json["images"]
    assert listed["picturesRemovedAt"] == after["picturesRemovedAt"]


def test_removing_twice_is_answered_in_the_same_way(client: FlaskClient, harness: Harness) -> None:
    request_id = made(harness)
    first, again = (client.delete(f"/api/images/{request_id}/pictures") for _ in range(2))
    assert first.status_code == again.status_code == 200
    assert first.json["picturesRemovedAt"] == again.json["picturesRemovedAt"]


def test_requests_without_pictures_are_refused_with_what_to_do(client: FlaskClient, harness: Harness) -> None:
    waiting = harness.submit()
    answer = client.delete(f"/api/images/{waiting.id}/pictures")
    assert (answer.status_code, answer.json["code"]) == (409, "ERR_NO_PICTURES")
    assert "cancel it" in answer.json["detail"]
    assert client.delete(NOBODY).status_code == 404
    assert client.delete("/api/images/nonsense/pictures").status_code == 404


def test_the_stream_of_a_request_has_the_removal_as_its_last_event(client: FlaskClient, harness: Harness) -> None:
    request_id = made(harness)
    client.delete(f"/api/images/{request_id}/pictures")
    stream = client.get(f"/api/images/{request_id}/events").text
    names = [line.removeprefix("event: ") for line in stream.splitlines() if line.startswith("event: ")]
    assert names[-2:] == ["ImageGeneratedEvent", "ImagesRemovedEvent"]
    last = stream.count("\nid: ")
    assert client.get(f"/api/images/{request_id}/events", headers={"Last-Event-ID": str(last)}).status_code == 204


def test_owners_and_operators_may_remove_and_others_may_not(guarded: Services, bench: Bench) -> None:
    client = create_app(guarded.settings, guarded).test_client()
    bench.fetch.answers.update({URL: PNG, OTHER: PNG})
    harness = Harness(bench, guarded)

    def bearer(user: str, role: Role, *scopes: Scope) -> dict[str, str]:
        guarded.accounts.create_user(user, role)
        return {"Authorization": f"Bearer {guarded.accounts.create_key(user, scopes)}"}

    ann, reader = bearer("ann", Role.USER, Scope.WRITE), {}
    reader["Authorization"] = f"Bearer {guarded.accounts.create_key('ann', [Scope.READ])}"
    bob = bearer("bob", Role.USER, Scope.READ, Scope.WRITE)
    olga = bearer("olga", Role.OPERATOR, Scope.ADMIN, Scope.WRITE)
    path = f"/api/images/{made(harness)}/pictures"
    statuses = [client.delete(path, headers=headers).status_code for headers in ({}, reader, bob, olga, ann)]
    assert statuses == [401, 403, 404, 200, 200]


@pytest.mark.parametrize("keep", [0, 3_651, 1.5, "1", True, []])
def test_days_that_cannot_be_kept_are_refused_by_name(client: FlaskClient, keep: object) -> None:
    answer = client.post("/api/images/generate", json={"prompt": "a fox", "keep": keep})
    assert (answer.status_code, answer.json["code"]) == (400, "ERR_INVALID_REQUEST")
    assert answer.json["detail"].startswith("keep must be a whole number from 1 to 3,650")


def test_more_days_than_the_operator_keeps_are_refused_with_the_limit(bench: Bench) -> None:
    bench = bench.with_settings(retention=Retention.parse("30", ()))
    services = Harness.of(bench).services
    client = create_app(services.settings, services).test_client()
    answer = client.post("/api/images/generate", json={"prompt": "a fox", "keep": 31})
    assert answer.status_code == 400
    assert answer.json["detail"].startswith("keep is 31 days: pictures of your tier (standard) are kept for 30 at most")
    assert client.post("/api/images/generate", json={"prompt": "a fox", "keep": 30}).status_code == 200
    body = {"items": [{"prompt": "a"}, {"prompt": "b", "keep": 40}], "defaults": {"keep": 20}}
    refused = client.post("/api/batches", json=body)
    assert refused.status_code == 400
    assert [(error["line"], error["field"]) for error in refused.json["errors"]] == [(2, "keep")]


def test_days_are_in_batches_of_every_format(client: FlaskClient, harness: Harness) -> None:
    def days(answer: Any) -> list[int | None]:
        assert answer.status_code == 201, answer.text
        items = harness.services.batch_results.items(answer.json["batchId"])
        return [item.job.keep_days for item in items]

    table = "prompt,keep\na fox,3\na hare,\n"
    sent = client.post("/api/batches?keep=9", data=table, headers={"Content-Type": "text/csv"})
    assert days(sent) == [3, 9]
    lines = '{"prompt": "a fox", "keep": 3}\n{"prompt": "a hare"}\n'
    assert days(client.post("/api/batches", data=lines, headers={"Content-Type": "application/x-ndjson"})) == [3, None]
    wrong = client.post("/api/batches", data="prompt,keep\na fox,soon\n", headers={"Content-Type": "text/csv"})
    assert wrong.json["errors"][0]["reason"] == "keep must be a whole number from 1 to 3,650."


def test_the_result_says_until_when_pictures_are_kept(client: FlaskClient, harness: Harness) -> None:
    request_id = made(harness, keep_days=2)
    result: Any = client.get(f"/api/images/{request_id}").json
    job = harness.services.lookup.details(request_id).job
    assert job.remove_at == (job.finished_at or 0) + 2 * DAY_MS
    assert result["keepUntil"].endswith("Z")
    for_ever: Any = client.get(f"/api/images/{made(harness)}").json
    assert "keepUntil" not in for_ever


def test_no_cache_keeps_a_picture_longer_than_the_service(client: FlaskClient, harness: Harness) -> None:
    def caching(**request: Any) -> str:
        result: Any = client.get(f"/api/images/{made(harness, **request)}").json
        return client.get(result["imagePath"]).headers["Cache-Control"]

    visibility, age = caching(keep_days=2).split(", max-age=")
    assert visibility == "public"
    assert 2 * 86_400 - 600 < int(age) <= 2 * 86_400
    assert caching() == "public, max-age=31536000, immutable"


def test_a_webhook_that_is_told_later_is_told_that_they_are_removed(client: FlaskClient, harness: Harness) -> None:
    receiver = Receiver.create(harness)
    request_id = made(harness)
    client.delete(f"/api/images/{request_id}/pictures")
    deliver(harness)
    told = receiver.sent[-1].json
    assert receiver.types.count("image.completed") == 1
    assert told["type"] == "image.completed"
    assert told["data"]["picturesRemovedAt"]
    assert "images" not in told["data"]
