"""Answers: what is read from what the server sends, of whatever version it is."""

from __future__ import annotations

import copy
import pickle
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from imagefleet import Batch, BatchItem, Event, ImageRequest, NewItem, Status, StoredPicture
from imagefleet.errors import BadAnswer
from imagefleet.models import Answer
from tests.support.wire_answers import ID, NOW

NOON = datetime(2024, 1, 14, 12, tzinfo=UTC)


def test_fields_of_a_newer_server_are_kept_as_they_were_sent() -> None:
    body = {
        "requestId": ID,
        "status": "completed",
        "newField": {"deepField": [1]},
        "images": [{"imagePath": "/a", "x": 1}],
    }
    request = ImageRequest.read(body)
    assert request.raw == body
    assert request.model_extra == {"newField": {"deepField": [1]}}
    assert request.images[0].raw == {"imagePath": "/a", "x": 1}


def test_what_an_older_server_leaves_out_is_none_or_empty() -> None:
    batch = Batch.read({"batchId": "b", "status": "running", "errors": None, "counts": {}})
    assert (batch.progress, batch.eta, batch.errors, batch.counts.total, batch.is_final) == (None, None, (), 0, False)
    status = Status.read({"requestId": ID, "status": "melting"})
    assert (status.progress, status.version, status.is_final) == (0, None, False)


def test_times_are_aware_and_a_time_without_a_zone_is_utc() -> None:
    for text in (NOW, "2024-01-14T12:00:00", "2024-01-14T14:00:00+02:00"):
        assert Status.read({"requestId": ID, "status": "accepted", "timestamp": text}).timestamp == NOON


@pytest.mark.parametrize(
    ("seed", "read"), [(7, 7), (2**70, 2**70), ("12", "12"), (True, None), (1.5, None), ([], None)]
)
def test_a_seed_is_a_whole_number_or_a_text(seed: object, read: object) -> None:
    used = ImageRequest.read({"requestId": ID, "status": "completed", "metadata": {"seed": seed}})
    requested = ImageRequest.read({"requestId": ID, "status": "completed", "parameters": {"seed": seed}})
    assert (used.seed, requested.seed) == (read, read)


def test_a_seed_without_effect_is_none() -> None:
    metadata = {"ignoredParameters": ["seed"]}
    body = {"requestId": ID, "status": "completed", "metadata": metadata, "parameters": {"seed": 7}}
    assert ImageRequest.read(body).seed is None


def test_answers_cannot_be_changed_but_copied() -> None:
    picture = StoredPicture(image_path="/a")
    with pytest.raises(ValidationError):
        picture.image_path = "/b"
    assert copy.deepcopy(picture) == picture == pickle.loads(pickle.dumps(picture))
    assert picture.raw == {"imagePath": "/a"}


@pytest.mark.parametrize(
    ("kind", "body", "named"),
    [
        (Status, {"requestId": 7, "status": "accepted"}, "requestId"),
        (Status, {"requestId": ID}, "status"),
        (Status, [], "an object was expected"),
        (Status, None, "an object was expected"),
        (BatchItem, {"index": "first", "requestId": ID, "status": "failed"}, "index"),
        (Batch, {"batchId": "b", "status": "running", "counts": {"total": "many"}}, r"counts\.total"),
        (Event, {"type": "x", "requestId": ID, "data": []}, "data"),
        (ImageRequest, {"requestId": ID, "status": "completed", "images": [{}]}, r"images\.0\.imagePath"),
    ],
)
def test_what_is_not_as_it_must_be_is_named(kind: type[Answer], body: Any, named: str) -> None:
    with pytest.raises(BadAnswer, match=f"^The server sent something unexpected: {named}"):
        kind.read(body)


def test_an_item_is_written_with_the_names_of_the_api() -> None:
    item = NewItem(prompt="A fox", custom_id="a", parameters={"number_of_images": 2})
    written = item.model_dump(by_alias=True, exclude_none=True)
    assert written == {"prompt": "A fox", "customId": "a", "parameters": {"number_of_images": 2}}
