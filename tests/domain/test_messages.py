"""Messages on the socket: parsing, serialization, errors."""

from __future__ import annotations

import json

import pytest

from app import logs
from app.domain import messages
from app.domain.errors import MalformedMessage

CONTRACT = [
    (
        {
            "type": "authenticate",
            "extensionId": "chrome-extension-123",
            "metadata": {"version": "1.0.0", "capabilities": ["image-generation", "dall-e-3"]},
        },
        messages.Authenticate(
            extension_id="chrome-extension-123",
            metadata=messages.ExtensionMetadata(version="1.0.0", capabilities=("image-generation", "dall-e-3")),
        ),
    ),
    (
        {"type": "image_generation_failed", "requestId": "r", "error": "Rate limit exceeded", "reason": "Too many"},
        messages.ImageGenerationFailed(request_id="r", error="Rate limit exceeded", reason="Too many"),
    ),
    (
        {"type": "image_generation_progress", "requestId": "r", "progress": 50, "status": "Generating image..."},
        messages.ImageGenerationProgress(request_id="r", progress=50, status="Generating image..."),
    ),
    (
        {"type": "image_generated", "requestId": "r", "imageUrl": "https://example.com/a.png"},
        messages.ImageGenerated(request_id="r", image_url="https://example.com/a.png"),
    ),
    (
        {
            "type": "heartbeat",
            "extensionId": "e",
            "status": {"available": True, "queueSize": 2, "activeRequests": 1},
        },
        messages.Heartbeat(
            extension_id="e", status=messages.HeartbeatStatus(available=True, queue_size=2, active_requests=1)
        ),
    ),
]

MALFORMED = [
    ("{", "not valid JSON"),
    ("[]", "JSON object"),
    ('{"type": "authenticate", "x": NaN}', "not valid JSON"),
    (
        '{"type": "image_generated", "requestId": "r", "imageUrl": "http://a/b", "metadata": {"a": 1e999}}',
        "not valid JSON",
    ),
    ('{"a":' * 5_000 + "1" + "}" * 5_000, "JSON|nested"),
    ('{"type": "surprise"}', "type must be one of"),
    ('{"type": "heartbeat", "extensionId": "e", "extensionId": "f"}', "extensionId is duplicated"),
    ('{"type": "heartbeat", "extensionId": "e", "status": {"available": true, "\\u0061vailable": false}}', "available"),
    ('{"type": "heartbeat", "extensionId": "e", "secret": 1, "secret": 2}', "format: a field is duplicated"),
    ('{"type": "authenticate"}', "authenticate.extensionId is missing"),
    ('{"type": "authenticate", "extension_id": "e"}', "authenticate.extensionId is missing"),
    ('{"type": "image_generated", "requestId": "r"}', "image_generated.imageUrl must be"),
    ('{"type": "image_generated", "requestId": "r", "imageUrls": null, "imageUrl": null}', "imageUrl must be"),
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
        messages.Authenticate(
            extension_id="e",
            metadata=messages.ExtensionMetadata(max_concurrent=64),
            token="secret",
            active_request_ids=("r-1", "r-2"),
        ),
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
        messages.ImageGenerationFailed(request_id="r", error="slow", code="limit", retryable=False, retry_after_ms=5),
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
            request_id="r",
            image_urls=("https://example.com/a.png", "data:image/png;base64,AA=="),
            metadata={"seed": [1, {"a": None}]},
        ),
    ),
    (
        {"type": "image_generation_progress", "requestId": "r", "progress": 99.9, "status": "line\u0000 \ud800break"},
        messages.ImageGenerationProgress(request_id="r", progress=99.9, status="line   break"),
    ),
    (
        {"type": "heartbeat", "extensionId": "e", "status": {"available": False}, "activeRequestIds": []},
        messages.Heartbeat(extension_id="e", status=messages.HeartbeatStatus(available=False), active_request_ids=()),
    ),
]

OUTGOING = [
    (
        messages.AuthenticationRequired(timestamp="2024-01-14T12:00:00.000Z"),
        {"type": "authentication_required", "timestamp": "2024-01-14T12:00:00.000Z"},
    ),
    (
        messages.GenerateImage(
            request_id="r",
            prompt="a fox — \u2028 in “snow”",
            model="m",
            parameters={"width": 64, "seed": None, "deep": [None, {"a": None}], "large": 2**63 - 1},
            user_id="ann",
            correlation_id="c-1",
            timestamp="t",
            lease="lease-1",
            upload=messages.Upload(url="/u", method="PUT", headers={"A": "b"}, max_bytes=9, expires_at="t"),
        ),
        {
            "type": "generate_image",
            "requestId": "r",
            "prompt": "a fox — \u2028 in “snow”",
            "model": "m",
            "parameters": {"width": 64, "seed": None, "deep": [None, {"a": None}], "large": 2**63 - 1},
            "userId": "ann",
            "correlationId": "c-1",
            "timestamp": "t",
            "lease": "lease-1",
            "upload": {"url": "/u", "method": "PUT", "headers": {"A": "b"}, "maxBytes": 9, "expiresAt": "t"},
        },
    ),
    (
        messages.ImageGenerationConfirmed(
            request_id="r", image_path="/generated-images/a.png", correlation_id="c-1", timestamp="t"
        ),
        {
            "type": "image_generation_confirmed",
            "requestId": "r",
            "imagePath": "/generated-images/a.png",
            "correlationId": "c-1",
            "timestamp": "t",
        },
    ),
    (
        messages.CancelGeneration(request_id="r", correlation_id="c-1", timestamp="t"),
        {"type": "cancel_generation", "requestId": "r", "correlationId": "c-1", "timestamp": "t"},
    ),
    (messages.HeartbeatResponse(timestamp="t"), {"type": "heartbeat_response", "timestamp": "t"}),
    (
        messages.Error(error="No.", timestamp="t", code="ERR_LEASE_LOST", request_id="r"),
        {"type": "error", "error": "No.", "timestamp": "t", "code": "ERR_LEASE_LOST", "requestId": "r"},
    ),
]


@pytest.mark.parametrize(("wire", "expected"), ADDITIONS)
def test_optional_additions_are_parsed(wire: dict[str, object], expected: messages.Message) -> None:
    assert messages.parse(json.dumps(wire)) == expected


@pytest.mark.parametrize(("message", "wire"), OUTGOING)
def test_messages_of_the_server_are_as_in_the_contract(message: messages.Message, wire: dict[str, object]) -> None:
    assert json.loads(message.to_json()) == message.to_dict() == wire
    assert list(message.to_dict()) == list(wire)
    assert message.to_json() == json.dumps(wire, ensure_ascii=False, separators=(",", ":"))


@pytest.mark.parametrize("kind", ["image_generated", "image_generation_progress", "image_generation_failed"])
@pytest.mark.parametrize("name", ["-_.correlation.id._-", "12345678", "a" * 128])
def test_every_correlation_id_that_clients_may_choose_can_be_echoed(kind: str, name: str) -> None:
    assert logs.well_formed(name)
    wire = {"type": kind, "requestId": "r", "imageUrl": "http://a/b", "progress": 1, "error": "no"}
    report = messages.parse(json.dumps({**wire, "correlationId": name, "lease": name}))
    assert isinstance(report, messages.Report)
    assert (report.correlation_id, report.lease) == (name, name)


def test_optional_fields_may_be_missing() -> None:
    assert messages.parse('{"type": "heartbeat", "extensionId": "e"}') == messages.Heartbeat(extension_id="e")
    assert messages.parse('{"type": "authenticate", "extensionId": "e"}') == messages.Authenticate(extension_id="e")


@pytest.mark.parametrize(("wire", "expected"), CONTRACT)
def test_the_contracts_messages_are_parsed(wire: dict[str, object], expected: messages.Message) -> None:
    assert messages.parse(json.dumps(wire)) == expected


@pytest.mark.parametrize(("text", "expected"), MALFORMED)
def test_the_error_for_a_malformed_message_names_the_field(text: str, expected: str) -> None:
    with pytest.raises(MalformedMessage, match=expected):
        messages.parse(text)


def test_fields_that_are_none_are_left_out_on_the_wire() -> None:
    wire = json.loads(messages.AuthenticationSuccess(extension_id="e", timestamp="2024-01-14T12:00:00.000Z").to_json())
    assert wire == {"type": "authentication_success", "extensionId": "e", "timestamp": "2024-01-14T12:00:00.000Z"}


def test_long_texts_are_truncated_and_not_rejected() -> None:
    failed = {"type": "image_generation_failed", "requestId": "a", "error": "x" * 5000, "reason": "y" * 5000}
    report = messages.parse(json.dumps(failed))
    assert isinstance(report, messages.ImageGenerationFailed)
    assert (report.error, report.reason) == ("x" * 2000, "y" * 2000)
    progress = {"type": "image_generation_progress", "requestId": "a", "progress": 1, "status": "z" * 5000}
    parsed = messages.parse(json.dumps(progress))
    assert isinstance(parsed, messages.ImageGenerationProgress)
    assert parsed.status == "z" * 200


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_the_nesting_of_messages_is_limited(opening: str, closing: str) -> None:
    def nested(levels: int) -> str:  # the message itself is the first level
        within = levels - 1
        return f'{{"type": "heartbeat", "extensionId": "e", "more": {opening * within}1{closing * within}}}'

    assert messages.parse(nested(messages.DEPTH)) == messages.Heartbeat(extension_id="e")
    with pytest.raises(MalformedMessage, match="nested deeper than 12 levels"):
        messages.parse(nested(messages.DEPTH + 1))


def test_brackets_in_texts_do_not_count_as_nesting() -> None:
    sent = {"type": "image_generation_failed", "requestId": "r", "error": "[{" * 50}
    assert messages.parse(json.dumps(sent)) == messages.ImageGenerationFailed(request_id="r", error="[{" * 50)


@pytest.mark.parametrize("kind", ["authenticate", "heartbeat", "image_generated", "image_generation_failed"])
def test_null_means_the_same_as_an_absent_field(kind: str) -> None:
    message = {"type": kind, "extensionId": "e", "requestId": "r", "imageUrl": "http://a/b", "error": "It crashed"}
    optional = ["metadata", "status", "activeRequestIds", "imageUrls", "lease", "correlationId", "reason", "retryable"]
    assert messages.parse(json.dumps({**message, **dict.fromkeys(optional)})) == messages.parse(json.dumps(message))


def test_null_means_the_same_as_an_absent_field_inside_of_objects_too() -> None:
    for kind, part, fields in (
        ("authenticate", "metadata", ["version", "capabilities", "maxConcurrent"]),
        ("heartbeat", "status", ["available", "queueSize", "activeRequests"]),
    ):
        message = {"type": kind, "extensionId": "e", part: dict.fromkeys(fields)}
        assert messages.parse(json.dumps(message)) == messages.parse(json.dumps({**message, part: {}}))


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://host/a picture.png", "http://host/a%20picture.png"),
        ("  http://host/a.png ", "http://host/a.png"),
        ("http://host/a b?c d", "http://host/a%20b?c%20d"),
        ("http://host/ä", "http://host/ä"),
        ("http://host/a.png\n", "http://host/a.png"),
        ("\x00\r\n\thttp://host/a.png?b=\n  c\td\r\n", "http://host/a.png?b=%20%20cd"),
        (" \ndata:image/png;base64,AA==\n", "data:image/png;base64,AA=="),
    ],
)
def test_spaces_and_line_breaks_in_an_address_are_read_as_browsers_do(url: str, expected: str) -> None:
    report = messages.parse(json.dumps({"type": "image_generated", "requestId": "r", "imageUrl": url}))
    assert isinstance(report, messages.ImageGenerated)
    assert report.sources == (expected,)


@pytest.mark.parametrize(
    "text",
    [
        '{"type": "image_generated", "requestId": "r", "lease": "l", "correlationId": "c", "imageUrl": "file:///a"}',
        '{"type": "image_generated", "requestId": "r", "lease": "l", "correlationId": "c", "imageUrl": ""}',
        '{"type": "image_generated", "requestId": "r", "lease": "l", "correlationId": "c"}',
        '{"type": "image_generated", "requestId": "r", "lease": "l", "correlationId": "c", "imageUrls": []}',
        '{"type": "image_generated", "requestId": "r", "lease": "l", "correlationId": "c", "imageUrls": [5]}',
        '{"type": "image_generated", "requestId": "r", "lease": "l", "correlationId": "c", "imageUrl": 1, "imageUrl": 2}',
        '{"type": "image_generation_failed", "requestId": "r", "lease": "l", "correlationId": "c"}',
        '{"type": "image_generation_failed", "requestId": "r", "lease": "l", "correlationId": "c", "error": " "}',
        '\ufeff{"type": "image_generation_failed", "requestId": "r", "lease": "l", "correlationId": "c"}',
        '{"type": "image_generated", "requestId": "r", "lease": "l", "correlationId": "c", "imageUrl": "http://a/b',
        '{"type": "image_generated", "requestId": "r", "lease": "l", "correlationId": "c", "imageUrl": "http://a\nb"}',
        '{"type" : "image_generated",\n"requestId" : "r", "lease": "l", "correlationId": "c", "imageUrl": "http://a/b",}',
        '{"type": "image_generation_failed", "requestId": "r", "lease": "l", "correlationId": "c", "error": "}", "type": "x", ]',
        '{"type": "image_generated", "requestId": "r", "lease": "l", "correlationId": "c", "metadata": '
        + '{"a":' * 5_000,
    ],
)
def test_an_unusable_final_report_names_its_request(text: str) -> None:
    with pytest.raises(messages.UnusableReport) as caught:
        messages.parse(text)
    assert (caught.value.request_id, caught.value.named) == ("r", {"lease": "l", "correlationId": "c"})


@pytest.mark.parametrize(("longest", "kept"), [(32_768, True), (32_769, False)])
def test_metadata_that_are_too_large_to_keep_are_left_out(longest: int, kept: bool) -> None:
    metadata = {"note": "x" * (longest - len('{"note":""}'))}
    report = {"type": "image_generated", "requestId": "r", "imageUrl": "http://a/b", "metadata": metadata}
    parsed = messages.parse(json.dumps(report))
    assert isinstance(parsed, messages.ImageGenerated)
    assert parsed.metadata == (metadata if kept else {})


@pytest.mark.parametrize(
    "text",
    [
        '{"type": "image_generated", "imageUrl": ""}',
        '{"type": "image_generated", "requestId": "a b", "imageUrl": ""}',
        '{"type": "image_generated", "requestId": 7, "imageUrl": ""}',
        '{"type": "image_generation_progress", "requestId": "r", "progress": "half"}',
        '{"type": "image_generated", "imageUrl": ',
        '{"type": "image_generation_progress", "requestId": "r", "progress": ',
        '["image_generated", "requestId", "r"]',
        '["image_generated", "requestId": "r"]',
        '{"type": ["image_generated"], "requestId": "r"}',
    ],
)
def test_other_malformed_messages_end_no_attempt(text: str) -> None:
    with pytest.raises(MalformedMessage) as caught:
        messages.parse(text)
    assert not isinstance(caught.value, messages.UnusableReport)
