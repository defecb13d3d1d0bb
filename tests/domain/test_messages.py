from __future__ import annotations

import json

import pytest

from app import logs
from app.domain import messages, parsing
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
    ('{"type": "image_generated", "requestId": "r", "imageUrl": "http://a/b", "metadata": {"a": 1e999}}', "not JSON"),
    ('{"a":' * 5_000 + "1" + "}" * 5_000, "JSON|nested"),
    ('{"type": "surprise"}', "type must be one of"),
    ('{"type": "heartbeat", "extensionId": "e", "extensionId": "f"}', "extensionId is there twice"),
    ('{"type": "heartbeat", "extensionId": "e", "status": {"available": true, "\\u0061vailable": false}}', "available"),
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


ADDITIONS = [
    (
        {
            "type": "authenticate",
            "extensionId": "e",
            "metadata": {"maxConcurrent": 64},
            "activeRequestIds": ["r-1", "r-2"],
            "token": "secret",
        },
        messages.Authenticate("e", max_concurrent=64, token="secret", active_request_ids=("r-1", "r-2")),
    ),
    (
        {
            "type": "image_generation_failed",
            "requestId": "r",
            "error": "slow",
            "code": "limit",
            "retryable": False,
            "retryAfterMs": 5.0,
        },
        messages.ImageGenerationFailed("r", "slow", code="limit", retryable=False, retry_after_ms=5),
    ),
    (
        {
            "type": "image_generated",
            "requestId": "r",
            "imageUrl": "https://example.com/first.png",
            "imageUrls": ["https://example.com/a.png", "data:image/png;base64,AA=="],
            "metadata": {"seed": [1, {"a": None}]},
        },
        messages.ImageGenerated(
            "r", ("https://example.com/a.png", "data:image/png;base64,AA=="), {"seed": [1, {"a": None}]}
        ),
    ),
    (
        {"type": "image_generation_progress", "requestId": "r", "progress": 99.9, "status": "line\u0000 \ud800break"},
        messages.ImageGenerationProgress("r", 99, "line   break"),
    ),
    (
        {"type": "heartbeat", "extensionId": "e", "status": {"available": False}, "activeRequestIds": []},
        messages.Heartbeat("e", available=False, active_request_ids=()),
    ),
]

SAID = [
    (
        messages.AuthenticationRequired("2024-01-14T12:00:00.000Z"),
        {"type": "authentication_required", "timestamp": "2024-01-14T12:00:00.000Z"},
    ),
    (
        messages.GenerateImage("r", "a fox", "m", {"width": 64}, "ann", "c-1", "t", "lease-1", {"maxBytes": 9}),
        {
            "type": "generate_image",
            "requestId": "r",
            "prompt": "a fox",
            "model": "m",
            "parameters": {"width": 64},
            "userId": "ann",
            "correlationId": "c-1",
            "timestamp": "t",
            "lease": "lease-1",
            "upload": {"maxBytes": 9},
        },
    ),
    (
        messages.ImageGenerationConfirmed("r", "/generated-images/a.png", "c-1", "t"),
        {
            "type": "image_generation_confirmed",
            "requestId": "r",
            "imagePath": "/generated-images/a.png",
            "correlationId": "c-1",
            "timestamp": "t",
        },
    ),
    (
        messages.CancelGeneration("r", "c-1", "t"),
        {"type": "cancel_generation", "requestId": "r", "correlationId": "c-1", "timestamp": "t"},
    ),
    (messages.HeartbeatResponse("t"), {"type": "heartbeat_response", "timestamp": "t"}),
    (
        messages.Error("No.", "t", "ERR_LEASE_LOST", "r"),
        {"type": "error", "error": "No.", "timestamp": "t", "code": "ERR_LEASE_LOST", "requestId": "r"},
    ),
]


@pytest.mark.parametrize(("wire", "meant"), ADDITIONS)
def test_what_extensions_may_add_is_understood(wire: dict[str, object], meant: messages.Message) -> None:
    assert parsing.parse(json.dumps(wire)) == meant


@pytest.mark.parametrize(("message", "wire"), SAID)
def test_what_the_server_says_is_the_contracts_own(message: messages.Message, wire: dict[str, object]) -> None:
    assert json.loads(messages.encode(message)) == wire


@pytest.mark.parametrize("kind", ["image_generated", "image_generation_progress", "image_generation_failed"])
@pytest.mark.parametrize("name", ["-_.correlation.id._-", "12345678", "a" * 128])
def test_every_correlation_id_that_clients_may_give_can_be_sent_back(kind: str, name: str) -> None:
    assert logs.well_formed(name)
    wire = {"type": kind, "requestId": "r", "imageUrl": "http://a/b", "progress": 1, "error": "no"}
    report = parsing.parse(json.dumps({**wire, "correlationId": name, "lease": name}))
    assert isinstance(report, messages.Report)
    assert (report.correlation_id, report.lease) == (name, name)


def test_a_message_without_what_is_optional_leaves_all_of_it_unknown() -> None:
    assert parsing.parse('{"type": "heartbeat", "extensionId": "e"}') == messages.Heartbeat("e")
    assert parsing.parse('{"type": "authenticate", "extensionId": "e"}') == messages.Authenticate("e")


@pytest.mark.parametrize(("wire", "meant"), CONTRACT)
def test_the_contracts_messages_are_understood(wire: dict[str, object], meant: messages.Message) -> None:
    assert parsing.parse(json.dumps(wire)) == meant


@pytest.mark.parametrize(("text", "named"), MALFORMED)
def test_a_malformed_message_is_refused_by_name(text: str, named: str) -> None:
    with pytest.raises(MalformedMessage, match=named):
        parsing.parse(text)


def test_what_is_unknown_is_left_out_on_the_wire() -> None:
    wire = json.loads(messages.encode(messages.AuthenticationSuccess("e", "2024-01-14T12:00:00.000Z")))
    assert wire == {"type": "authentication_success", "extensionId": "e", "timestamp": "2024-01-14T12:00:00.000Z"}


def test_many_words_are_cut_and_not_refused() -> None:
    failed = {"type": "image_generation_failed", "requestId": "a", "error": "x" * 5000, "reason": "y" * 5000}
    report = parsing.parse(json.dumps(failed))
    assert isinstance(report, messages.ImageGenerationFailed)
    assert (report.error, report.reason) == ("x" * 2000, "y" * 2000)
    progress = {"type": "image_generation_progress", "requestId": "a", "progress": 1, "status": "z" * 5000}
    told = parsing.parse(json.dumps(progress))
    assert isinstance(told, messages.ImageGenerationProgress)
    assert told.status == "z" * 200


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_messages_may_be_nested_so_deep_and_no_deeper(opening: str, closing: str) -> None:
    def nested(levels: int) -> str:  # of which the message itself is the first
        within = levels - 1
        return f'{{"type": "heartbeat", "extensionId": "e", "more": {opening * within}1{closing * within}}}'

    assert parsing.parse(nested(messages.DEPTH)) == messages.Heartbeat("e")
    with pytest.raises(MalformedMessage, match="nested deeper than 12 levels"):
        parsing.parse(nested(messages.DEPTH + 1))


def test_brackets_in_texts_are_no_depth() -> None:
    told = {"type": "image_generation_failed", "requestId": "r", "error": "[{" * 50}
    assert parsing.parse(json.dumps(told)) == messages.ImageGenerationFailed("r", "[{" * 50)
