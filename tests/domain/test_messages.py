from __future__ import annotations

import json

import pytest

from app.domain import messages
from app.domain.errors import MalformedMessage

CONTRACT = [
    (
        {
            "type": "authenticate",
            "extensionId": "chrome-extension-123",
            "metadata": {"version": "1.0.0", "capabilities": ["image-generation", "dall-e-3"]},
        },
        messages.Authenticate("chrome-extension-123", ("image-generation", "dall-e-3"), "1.0.0"),
    ),
    (
        {"type": "image_generation_failed", "requestId": "r", "error": "Rate limit exceeded", "reason": "Too many"},
        messages.ImageGenerationFailed("r", "Rate limit exceeded", "Too many"),
    ),
    (
        {"type": "image_generation_progress", "requestId": "r", "progress": 50, "status": "Generating image..."},
        messages.ImageGenerationProgress("r", 50, "Generating image..."),
    ),
    (
        {"type": "image_generated", "requestId": "r", "imageUrl": "https://example.com/a.png"},
        messages.ImageGenerated("r", ("https://example.com/a.png",)),
    ),
    (
        {
            "type": "heartbeat",
            "extensionId": "e",
            "status": {"available": True, "queueSize": 2, "activeRequests": 1},
        },
        messages.Heartbeat("e", True, 2, 1),
    ),
]

MALFORMED = [
    ("{", "not JSON"),
    ("[]", "JSON object"),
    ('{"type": "authenticate", "x": NaN}', "not JSON"),
    ('{"a":' * 5_000 + "1" + "}" * 5_000, "JSON|nested"),
    ('{"type": "surprise"}', "type must be one of"),
    ('{"type": "authenticate"}', "authenticate.extensionId"),
    ('{"type": "authenticate", "extensionId": "e", "metadata": {"maxConcurrent": 1e9}}', "metadata.maxConcurrent"),
    ('{"type": "authenticate", "extensionId": "e", "metadata": {"capabilities": "all"}}', "metadata.capabilities"),
    ('{"type": "image_generation_progress", "requestId": "r", "progress": 101}', "progress must be"),
    ('{"type": "image_generation_progress", "requestId": "r", "progress": true}', "progress must be"),
    ('{"type": "image_generated", "requestId": "r", "imageUrl": "javascript:alert(1)"}', "imageUrl must be"),
    ('{"type": "image_generated", "requestId": "r", "imageUrls": []}', "imageUrls must be"),
    ('{"type": "image_generated", "requestId": "../x", "imageUrl": "http://a/b"}', "requestId must be"),
    ('{"type": "image_generation_failed", "requestId": "r", "error": " "}', "error must be"),
    ('{"type": "heartbeat", "extensionId": "e", "status": {"activeRequests": -1}}', "status.activeRequests"),
]


@pytest.mark.parametrize(("wire", "meant"), CONTRACT)
def test_the_contracts_messages_are_understood(wire: dict[str, object], meant: messages.Message) -> None:
    assert messages.parse(json.dumps(wire)) == meant


@pytest.mark.parametrize(("text", "named"), MALFORMED)
def test_a_malformed_message_is_refused_by_name(text: str, named: str) -> None:
    with pytest.raises(MalformedMessage, match=named):
        messages.parse(text)


def test_what_is_unknown_is_left_out_on_the_wire() -> None:
    wire = json.loads(messages.encode(messages.AuthenticationSuccess("e", "2024-01-14T12:00:00.000Z")))
    assert wire == {"type": "authentication_success", "extensionId": "e", "timestamp": "2024-01-14T12:00:00.000Z"}
