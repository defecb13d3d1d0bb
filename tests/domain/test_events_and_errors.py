"""Past facts as plain data; refusals that speak for themselves."""

from __future__ import annotations

import json

import pytest

from app.domain import errors, events

FACTS = [
    (events.ImageGenerationRequestedEvent("dall-e-3", "ann"), {"model": "dall-e-3", "user_id": "ann"}),
    (events.ImageGenerationAssignedEvent("e1", 2), {"extension_id": "e1", "attempt": 2}),
    (events.ImageGenerationRequeuedEvent(None, 1, "C", "r"), {"attempt": 1, "code": "C", "reason": "r"}),
    (events.ImageDownloadStartedEvent("e1", 1, 3), {"extension_id": "e1", "attempt": 1, "images": 3}),
    (events.ImageGeneratedEvent(("/a", "/b")), {"image_paths": ["/a", "/b"]}),
    (events.ImageGenerationFailedEvent("C", "no"), {"code": "C", "error": "no"}),
    (events.ImageGenerationCancelledEvent(), {}),
]
REFUSALS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.Refusal)]


@pytest.mark.parametrize(("fact", "data"), FACTS)
def test_a_fact_is_plain_data_without_what_is_unknown(fact: events.Event, data: dict[str, object]) -> None:
    assert json.loads(json.dumps(fact.payload())) == data


@pytest.mark.parametrize("kind", REFUSALS)
def test_a_refusal_says_what_its_class_says_unless_told_otherwise(kind: type[errors.Refusal]) -> None:
    assert kind().detail == kind.__doc__
    assert kind("prompt is empty").detail == "prompt is empty"
    assert kind.code.startswith("ERR_")
    assert 400 <= kind.status < 600


def test_a_refusal_may_say_when_to_come_back() -> None:
    assert errors.Unavailable(retry_after_s=5).retry_after_s == 5
    assert errors.Unavailable().retry_after_s is None
