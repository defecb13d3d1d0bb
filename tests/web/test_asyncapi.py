from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator  # type: ignore[import-untyped]  # it ships no types

from app import container
from app.config import Settings
from app.container import Services
from app.db.fleet import Socket
from app.domain import messages
from app.domain.clock import wire_time
from app.domain.close_codes import CloseCode
from app.domain.messages import Authenticate, ExtensionMetadata, Message
from app.factory import create_app
from app.services.generation import Holder
from app.web import asyncapi
from app.web.asyncapi import RECEIVED, SENT
from tests.support.downloads import URL
from tests.support.fakes import Bench
from tests.support.image_samples import png

HUB = Path(__file__).parents[2] / "app" / "hub"
OFFICIAL = json.loads((Path(__file__).parent / "asyncapi-3.0.0.json").read_text())
DOCUMENT = asyncapi.document(Settings.from_env({}), "ws://localhost:3001/ws")
KINDS: set[type[Message]] = {
    kind
    for kind in vars(messages).values()
    if isinstance(kind, type) and issubclass(kind, Message) and kind is not Message
}


def _type_name(kind: type[Message]) -> str:
    return kind.type_name()


@pytest.fixture
def database_url(fresh_sqlite: str) -> str:
    """SQLite alone: the document does not depend on the database."""
    return fresh_sqlite


def check(message: dict[str, Any]) -> None:
    """Assert that the message matches the document."""
    payload = DOCUMENT["components"]["messages"][message["type"]]["payload"]
    Draft7Validator(payload, format_checker=Draft7Validator.FORMAT_CHECKER).validate(message)


def test_the_document_is_one_of_asyncapi_3() -> None:
    Draft7Validator(OFFICIAL).validate(DOCUMENT)


def test_every_reference_resolves() -> None:
    found = list(_references(DOCUMENT))
    assert len(found) > 30
    for reference in found:
        place = DOCUMENT
        for name in reference.removeprefix("#/").split("/"):
            place = place[name]


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for each in value.values():
            yield from _references(each)
    elif isinstance(value, list):
        for each in value:
            yield from _references(each)


def test_every_message_is_described_once() -> None:
    assert set(RECEIVED) | set(SENT) == KINDS
    assert not set(RECEIVED) & set(SENT)
    assert set(DOCUMENT["components"]["messages"]) == {kind.type_name() for kind in KINDS}
    assert set(asyncapi.REPLIES) == set(RECEIVED)
    spoken = {
        (operation["action"], message["$ref"].rpartition("/")[2])
        for operation in DOCUMENT["operations"].values()
        for message in operation["messages"]
    }
    assert spoken == {("receive", kind.type_name()) for kind in RECEIVED} | {
        ("send", kind.type_name()) for kind in SENT
    }


def test_nullable_types_are_type_lists_without_titles_or_null_defaults() -> None:
    failed = asyncapi.payload(messages.ImageGenerationFailed)
    assert failed["properties"]["retryAfterMs"] == {
        "type": ["integer", "null"],
        "minimum": 0,
        "maximum": 86_400_000,
        "description": "How long to send no requests to this extension, in ms.",
    }
    assert failed["required"] == ["type", "requestId", "error"]


@pytest.mark.parametrize("kind", [*RECEIVED, *SENT], ids=_type_name)
def test_every_example_is_valid(kind: type[Message]) -> None:
    [example] = DOCUMENT["components"]["messages"][kind.type_name()]["examples"]
    check(example["payload"])
    if kind in RECEIVED:
        assert type(messages.parse(json.dumps(example["payload"]))) is kind


def test_the_close_codes_described_are_those_that_the_hub_and_its_library_send() -> None:
    described = {int(code) for code in re.findall(r"^- (\d{4}): \S", DOCUMENT["info"]["description"], re.MULTILINE)}
    used = {name for path in HUB.glob("*.py") for name in re.findall(r"CloseCode\.([A-Z_]+)", path.read_text())}
    sent_by_the_library = {CloseCode.MESSAGE_TOO_BIG}
    assert described == {CloseCode[name] for name in used} | sent_by_the_library


@pytest.mark.parametrize(
    ("base", "changed", "server", "address"),
    [
        ("http://localhost:3000", {"ws_port": 3001}, {"host": "localhost:3001", "protocol": "ws"}, "/ws"),
        (
            "http://inside",
            {"public_url": "https://img.example/a", "ws_path": "/hub"},
            {"host": "img.example", "protocol": "wss", "pathname": "/a"},
            "/hub",
        ),
    ],
)
def test_the_served_document_contains_the_address_of_this_service(
    bench: Bench, base: str, changed: dict[str, Any], server: Any, address: str
) -> None:
    services = container.build(bench.with_settings(**changed).ports)
    document = create_app(services=services).test_client().get("/asyncapi.json", base_url=base).json
    Draft7Validator(OFFICIAL).validate(document)
    assert document["servers"] == {"this": server}
    assert document["channels"]["extension"]["address"] == address


def test_messages_of_the_running_service_match_the_document(
    client: FlaskClient, services: Services, bench: Bench
) -> None:
    services.extensions.hub_heartbeat("hub-1")
    services.extensions.connected(
        Authenticate(extension_id="e", metadata=ExtensionMetadata(max_concurrent=2)), Socket("hub-1", "connection-1")
    )
    done, gone = (client.post("/api/images/generate", json={"prompt": "a fox"}).json["requestId"] for _ in range(2))
    services.dispatch.assign_waiting()
    offers = bench.bus.sent("generate_image")
    assert {offer["requestId"] for offer in offers} == {done, gone}
    bench.fetch.answers[URL] = png(8, 8)
    services.generation.report(Holder("e", "connection-1"), messages.ImageGenerated(request_id=done, image_urls=(URL,)))
    services.download.run()
    services.cancellation.cancel(gone)
    sent = [*offers, *bench.bus.sent("image_generation_confirmed"), *bench.bus.sent("cancel_generation")]
    assert len(sent) == 4
    for message in sent:
        check(message)


TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
TIME = st.integers(0, 4_000_000_000_000).map(wire_time)
JSON = st.recursive(st.none() | st.booleans() | st.floats(allow_nan=False) | TEXT, lambda v: st.dictionaries(TEXT, v))
UPLOAD = st.fixed_dictionaries(
    {
        "url": st.just("http://localhost/api/uploads/1"),
        "method": st.just("PUT"),
        "headers": st.dictionaries(TEXT, TEXT),
        "maxBytes": st.integers(1),
        "expiresAt": TIME,
    }
).map(messages.Upload.model_validate)
BY_NAME: dict[str, st.SearchStrategy[Any]] = {
    "timestamp": TIME,
    "paused_until": TIME,
    "request_id": st.uuids().map(str),
    "upload": UPLOAD,
    "active_request_ids": st.lists(TEXT).map(tuple),
    "previews": st.integers(1, 10),
    "parameters": st.dictionaries(TEXT, JSON),
    "input_images": st.lists(
        st.builds(
            messages.InputImage,
            url=st.just("http://localhost/api/inputs/1/1/0"),
            sha256=TEXT,
            role=st.sampled_from(["image", "mask"]),
            strength=st.floats(0, 1) | st.none(),
        ),
        min_size=1,
    ).map(tuple),
    "limits": st.builds(messages.MessageLimits, max_message_bytes=st.integers(1), max_image_bytes=st.integers(1)),
}


def _any_of(kind: type[Message]) -> st.SearchStrategy[Message]:
    """A strategy for messages of this type, with and without their optional fields."""
    fields: dict[str, st.SearchStrategy[Any]] = {}
    for name, field in kind.model_fields.items():
        if name != "type":
            value = BY_NAME.get(name, TEXT)
            fields[name] = value if field.is_required() else value | st.none()
    return st.fixed_dictionaries(fields).map(lambda values: kind(**values))


@given(message=st.sampled_from(sorted(SENT, key=_type_name)).flatmap(_any_of))
@settings(max_examples=200, deadline=None)
def test_every_message_that_the_server_can_send_matches_the_document(message: Message) -> None:
    check(json.loads(message.to_json()))
