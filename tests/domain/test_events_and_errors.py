"""Events as plain data, and the default messages of errors."""

from __future__ import annotations

import json

import pytest

from app.domain import errors, events

EVENTS = [
    (events.ImageGenerationRequestedEvent("dall-e-3", "ann"), {"model": "dall-e-3", "user_id": "ann"}),
    (events.ImageGenerationAssignedEvent("e1", 2), {"extension_id": "e1", "attempt": 2}),
    (events.ImageGenerationRequeuedEvent(None, 1, "C", "r"), {"attempt": 1, "code": "C", "reason": "r"}),
    (events.ImageDownloadStartedEvent("e1", 1, 3), {"extension_id": "e1", "attempt": 1, "images": 3}),
    (events.ImageGeneratedEvent(("/a", "/b")), {"image_paths": ["/a", "/b"]}),
    (events.ImageGenerationFailedEvent("C", "no"), {"code": "C", "error": "no"}),
    (events.ImageGenerationCancelledEvent(), {}),
    (events.ImagesRemovedEvent("expired"), {"reason": "expired"}),
]
REFUSALS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.Refusal)]


@pytest.mark.parametrize(("event", "data"), EVENTS)
def test_an_event_becomes_json_data_without_its_empty_fields(event: events.Event, data: dict[str, object]) -> None:
    assert json.loads(json.dumps(event.payload())) == data


@pytest.mark.parametrize("kind", REFUSALS)
def test_the_docstring_of_an_error_is_its_default_message(kind: type[errors.Refusal]) -> None:
    assert kind().detail == kind.__doc__
    assert kind("prompt is empty").detail == "prompt is empty"
    assert kind.code.startswith("ERR_")
    assert 400 <= kind.status < 600


def test_an_error_may_have_a_retry_after() -> None:
    assert errors.Unavailable(retry_after_s=5).retry_after_s == 5
    assert errors.Unavailable().retry_after_s is None
