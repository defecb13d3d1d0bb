from __future__ import annotations

import json
import re
import shlex
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from flask.testing import FlaskClient
from markupsafe import Markup

from app.web import reference, tables
from app.web.prose import prose

ALONE = {"meta", "link", "img", "wbr", "br", "hr", "input"}


@pytest.fixture
def database_url(migrated_sqlite_file: Path, tmp_path: Path) -> str:
    """One kind of database is enough for what is told about the service."""
    return f"sqlite:///{shutil.copyfile(migrated_sqlite_file, tmp_path / 'imagefleet.db')}"


class Page(HTMLParser):
    """What a page consists of; a tag that is closed wrongly is an error."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.words: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in ALONE:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def values(self, *names: str) -> list[str]:
        """The values of these attributes."""
        return [value or "" for name, value in self.attributes if name in names]


@pytest.fixture
def page(client: FlaskClient) -> Page:
    """The page for people."""
    return Page(client.get("/docs").text)


@pytest.fixture
def words(page: Page) -> str:
    """Its text."""
    return re.sub(r"\s+", " ", "".join(page.words))


@pytest.fixture
def document(client: FlaskClient) -> Any:
    """What it is made from."""
    return client.get("/openapi.json").json


def test_who_comes_to_the_front_door_is_led_to_the_page(client: FlaskClient) -> None:
    answer = client.get("/")
    assert (answer.status_code, answer.headers["Location"]) == (302, "docs")
    assert client.get("/", follow_redirects=True).status_code == 200


def test_the_page_needs_nothing_from_elsewhere_and_runs_no_script(client: FlaskClient, page: Page) -> None:
    answer = client.get("/docs")
    assert answer.content_type == "text/html; charset=utf-8"
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'; style-src 'self'; img-src 'self'" in policy
    assert "unsafe" not in policy
    assert not {"script", "style", "iframe", "form"} & set(page.tags)
    assert not [name for name, _ in page.attributes if name.startswith("on") or name == "style"]
    for address in page.values("href", "src"):
        parts = urlsplit(address)
        assert (parts.scheme, parts.netloc) == ("", ""), address
        if parts.path:
            assert client.get(f"/{parts.path}").status_code == 200


def test_the_style_sheet_needs_nothing_from_elsewhere(client: FlaskClient) -> None:
    answer = client.get("/docs/style.css")
    assert answer.content_type == "text/css; charset=utf-8"
    assert "prefers-color-scheme: dark" in answer.text
    assert "url(" not in answer.text
    assert "@import" not in answer.text
    again = client.get("/docs/style.css", headers={"If-None-Match": answer.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")


def test_every_link_inside_the_page_leads_somewhere(page: Page) -> None:
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    assert {link[1:] for link in page.values("href") if link.startswith("#")} <= set(ids)


def test_every_operation_is_on_the_page_with_its_fields_and_codes(words: str, document: Any) -> None:
    resolve = tables.resolver(document)
    for address, item in document["paths"].items():
        for method, operation in item.items():
            assert f"{method.upper()} {address}" in words
            assert operation["summary"] in words
            for parameter in operation["parameters"]:
                assert parameter["name"] in words
            for body in (*operation["responses"].values(), operation.get("requestBody", {})):
                for content_type, media in body.get("content", {}).items():
                    names = [row.name for row in tables.rows(media["schema"], resolve)]
                    assert "problem" in content_type or all(name in words for name in names)
                    assert all(code in words for code in media.get("examples", {}))


def test_every_message_is_on_the_page_with_its_fields(client: FlaskClient, words: str) -> None:
    for name, message in client.get("/asyncapi.json").json["components"]["messages"].items():
        assert name in words
        for field in message["payload"]["properties"]:
            assert field in words
        [example] = message["examples"]
        assert re.sub(r"\s+", " ", json.dumps(example["payload"], indent=2)) in words


def test_the_contracts_codes_are_on_the_page(words: str) -> None:
    for code in (
        "ERR_NO_EXTENSION",
        "ERR_INVALID_PROMPT",
        "ERR_RATE_LIMIT",
        "ERR_GENERATION_FAILED",
        "ERR_DOWNLOAD_FAILED",
        "ERR_TIMEOUT",
    ):
        assert code in words


def test_the_examples_send_what_the_service_understands(client: FlaskClient, document: Any) -> None:
    groups = reference.endpoints(document, "http://localhost").values()
    for endpoint in (endpoint for group in groups for endpoint in group):
        curl, *arguments = shlex.split(endpoint.curl.replace("\\\n", ""))
        [url] = [each for each in arguments if each.startswith("http://localhost")]
        headers = dict([arguments[n + 1].split(": ") for n, each in enumerate(arguments) if each == "-H"])
        body = arguments[arguments.index("-d") + 1] if "-d" in arguments else b"bytes" if endpoint.takes else None
        answer = client.open(url.removeprefix("http://localhost"), method=endpoint.method, headers=headers, data=body)
        assert curl == "curl"
        assert answer.status_code in {200, 401, 403, 404}, endpoint.curl
        assert answer.status_code == 200 or answer.json["code"] in {code for _, code, _ in endpoint.problems}


def test_the_examples_go_to_where_the_reader_reached_the_page(client: FlaskClient) -> None:
    text = client.get("/docs", base_url="https://img:8443").text
    assert "https://img:8443/api/images/generate" in text


def test_a_host_that_nobody_has_cannot_write_into_the_page(client: FlaskClient) -> None:
    assert "<b>" not in client.get("/docs", headers={"Host": 'x"><b>y</b>'}).text


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("a `b` <c>", "<p>a <code>b</code> &lt;c&gt;</p>"),
        ("a\n\nb", "<p>a</p>\n<p>b</p>"),
        ("- a\n- `b<`", "<ul><li>a</li><li><code>b&lt;</code></li></ul>"),
    ],
)
def test_prose_is_escaped_and_marked_up(text: str, html: str) -> None:
    assert prose(text) == Markup(html)


@pytest.mark.parametrize(
    ("schema", "kind", "bounds"),
    [
        ({"type": "integer", "minimum": 16, "maximum": 8192}, "integer", ["16 to 8,192"]),
        ({"type": ["string", "null"], "maxLength": 200}, "string or null", ["at most 200 characters"]),
        ({"type": "string", "minLength": 1, "maxLength": 8000}, "string", ["1 to 8,000 characters"]),
        (
            {"type": "array", "items": {"type": "string", "maxLength": 5}},
            "list of string",
            ["each: at most 5 characters"],
        ),
        ({"enum": ["a", "b"]}, '"a" | "b"', []),
        ({"const": "a"}, '"a"', []),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, "string or null", []),
        ({"$ref": "#/x"}, "UUID", []),
        ({}, "any", []),
        ({"type": "string", "pattern": "^a$"}, "string", ["`^a$`"]),
        ({"type": "string", "pattern": r"^[^\x00]*$"}, "string", []),
        ({"type": "number", "minimum": 0, "maximum": 60}, "number", ["0 to 60"]),
        ({"type": "integer", "minimum": 1}, "integer", ["at least 1"]),
    ],
)
def test_a_schema_is_told_in_few_words(schema: dict[str, Any], kind: str, bounds: list[str]) -> None:
    resolve = tables.resolver({"x": {"type": "string", "format": "uuid"}})
    assert tables.kind(schema, resolve) == kind
    assert list(tables.bounds(schema, resolve)) == bounds


def test_fields_inside_of_others_are_told_behind_them() -> None:
    inner = {"type": "object", "properties": {"b": {"type": "integer", "default": 3}}, "required": ["b"]}
    schema = {"properties": {"a": inner, "c": {"type": "array", "items": inner}}}
    rows = list(tables.rows(schema, tables.resolver({})))
    assert [(row.name, row.required, row.default) for row in rows] == [
        ("a", False, None),
        ("a.b", True, "3"),
        ("c", False, None),
        ("c[].b", True, "3"),
    ]
