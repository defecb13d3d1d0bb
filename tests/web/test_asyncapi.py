from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import fields
from operator import attrgetter
from pathlib import Path
from typing import Any, get_args

import pytest
from flask.testing import FlaskClient
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator  # type: ignore[import-untyped]  # it ships no types
from pydantic.alias_generators import to_camel

from app import container
from app.config import Settings
from app.container import Services
from app.db.fleet import Socket
from app.domain import messages, parsing
from app.domain.clock import wire_time
from app.domain.messages import Authenticate, Incoming, Message
from app.factory import create_app
from app.hub import connection
from app.services.generation import Holder
from app.web import asyncapi
from app.web.message_schemas import FROM_EXTENSION, TO_EXTENSION
from tests.support.downloads import URL
from tests.support.fakes import Bench
from tests.support.hostile_images import png

OFFICIAL = json.loads((Path(__file__).parent / "asyncapi-3.0.0.json").read_text())
DOCUMENT = asyncapi.document(Settings.from_env({}), "ws://localhost:3001/ws")
KINDS: set[type[Message]] = {
    kind
    for kind in vars(messages).values()
    if isinstance(kind, type) and issubclass(kind, Message) and kind is not Message
}


@pytest.fixture
def database_url(migrated_sqlite_file: Path, tmp_path: Path) -> str:
    """One kind of database is enough for what is told about the service."""
    return f"sqlite:///{shutil.copyfile(migrated_sqlite_file, tmp_path / 'imagefleet.db')}"


def check(message: dict[str, Any]) -> None:
    """The message is as the document has it."""
    payload = DOCUMENT["components"]["messages"][message["type"]]["payload"]
    Draft7Validator(payload, format_checker=Draft7Validator.FORMAT_CHECKER).validate(message)


def test_the_document_is_one_of_asyncapi_3() -> None:
    Draft7Validator(OFFICIAL).validate(DOCUMENT)


def test_every_reference_leads_somewhere() -> None:
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


def test_every_message_of_both_sides_is_described_once() -> None:
    assert set(FROM_EXTENSION) == set(get_args(Incoming))
    assert set(FROM_EXTENSION) | set(TO_EXTENSION) == KINDS
    assert set(DOCUMENT["components"]["messages"]) == {kind.type for kind in KINDS}
    assert set(asyncapi.ANSWERS) == set(FROM_EXTENSION)
    spoken = {
        (operation["action"], message["$ref"].rpartition("/")[2])
        for operation in DOCUMENT["operations"].values()
        for message in operation["messages"]
    }
    assert spoken == {("receive", kind.type) for kind in FROM_EXTENSION} | {
        ("send", kind.type) for kind in TO_EXTENSION
    }


@pytest.mark.parametrize("kind", FROM_EXTENSION, ids=attrgetter("type"))
def test_every_field_that_is_read_is_described(kind: type[Message]) -> None:
    assert {to_camel(each.name) for each in fields(kind)} <= set(_properties(FROM_EXTENSION[kind]))


def _properties(schema: Any) -> Iterator[str]:
    for name, each in schema.get("properties", {}).items():
        yield name
        yield from _properties(each)


@pytest.mark.parametrize("kind", sorted(KINDS, key=attrgetter("type")), ids=attrgetter("type"))
def test_what_is_shown_is_such_a_message(kind: type[Message]) -> None:
    [example] = DOCUMENT["components"]["messages"][kind.type]["examples"]
    check(example["payload"])
    if kind in FROM_EXTENSION:
        assert type(parsing.parse(json.dumps(example["payload"]))) is kind


def test_every_code_that_the_hub_closes_with_is_told() -> None:
    codes = {
        name: code
        for name, code in vars(connection).items()
        if name.isupper() and isinstance(code, int) and 1000 <= code < 5000
    }
    assert len(codes) > 5
    assert set(codes.values()) <= set(asyncapi.CLOSE_CODES)
    assert all(f"{code}: " in DOCUMENT["info"]["description"] for code in asyncapi.CLOSE_CODES)


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
def test_the_served_document_says_where_this_service_is_reached(
    bench: Bench, base: str, changed: dict[str, Any], server: Any, address: str
) -> None:
    services = container.build(bench.with_settings(**changed).ports)
    document = create_app(services=services).test_client().get("/asyncapi.json", base_url=base).json
    Draft7Validator(OFFICIAL).validate(document)
    assert document["servers"] == {"this": server}
    assert document["channels"]["extension"]["address"] == address


def test_what_the_service_really_says_is_as_described(client: FlaskClient, services: Services, bench: Bench) -> None:
    services.extensions.hub_lives("hub-1")
    services.extensions.connected(Authenticate("e", max_concurrent=2), Socket("hub-1", "connection-1"))
    done, gone = (client.post("/api/images/generate", json={"prompt": "a fox"}).json["requestId"] for _ in range(2))
    services.dispatch.assign_waiting()
    offers = bench.bus.sent("generate_image")
    assert {offer["requestId"] for offer in offers} == {done, gone}
    bench.fetch.answers[URL] = png(8, 8)
    services.generation.report(Holder("e", "connection-1"), messages.ImageGenerated(done, (URL,)))
    services.download.run()
    services.cancellation.cancel(gone)
    told = [*offers, *bench.bus.sent("image_generation_confirmed"), *bench.bus.sent("cancel_generation")]
    assert len(told) == 4
    for message in told:
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
)
BY_NAME = {"timestamp": TIME, "request_id": st.uuids().map(str), "upload": UPLOAD}
BY_TYPE = {"str": TEXT, "tuple[str, ...]": st.lists(TEXT).map(tuple), "Mapping[str, Any]": st.dictionaries(TEXT, JSON)}


def _any_of(kind: type[Message]) -> st.SearchStrategy[Message]:
    """Every message of this kind that its class can be."""
    parts: dict[str, st.SearchStrategy[Any]] = {}
    for each in fields(kind):
        plain = BY_NAME[each.name] if each.name in BY_NAME else BY_TYPE[str(each.type).removesuffix(" | None")]
        parts[each.name] = plain | st.none() if str(each.type).endswith("None") else plain
    return st.builds(kind, **parts)


@given(message=st.sampled_from(sorted(TO_EXTENSION, key=attrgetter("type"))).flatmap(_any_of))
@settings(max_examples=200, deadline=None)
def test_whatever_the_server_can_say_is_as_described(message: Message) -> None:
    check(json.loads(messages.encode(message)))
