"""The pages: what they contain, and that they use the service's own files only, with no script or style in the markup."""

from __future__ import annotations

import gzip
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest
from flask.testing import FlaskClient

from app.domain.close_codes import CloseCode
from app.web import pages_base

ROOT = Path(__file__).resolve().parents[2]
WITHOUT_END_TAG = {"meta", "link", "img", "wbr", "br", "hr", "input"}
NOTHING_ELSE = {"default-src": "'none'", "base-uri": "'none'", "form-action": "'none'", "frame-ancestors": "'none'"}
PLAIN = {"style-src": "'self'", "img-src": "'self'"}
# The sources that each page may load.
POLICIES = {
    "/docs": {
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self' data: blob:",
        "connect-src": "'self'",
    },
    "/docs/socket": PLAIN,
    "/extension": PLAIN,
    "/extension/demo": {"script-src": "'self'", "style-src": "'self'", "img-src": "'self' blob: data:"},
}
BUNDLE = "vendor/swagger-ui-dist/swagger-ui-bundle.js.gz"


@pytest.fixture
def database_url(fresh_sqlite: str) -> str:
    """SQLite alone: the pages make no queries."""
    return fresh_sqlite


class Page(HTMLParser):
    """A parsed page; a wrongly closed tag is an error."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self._open: list[str] = []
        self.feed(markup)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in WITHOUT_END_TAG:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def text(self) -> str:
        """The whole text, with single spaces."""
        return re.sub(r"\s+", " ", "".join(self.texts))

    def values(self, *names: str) -> list[str]:
        """The values of these attributes."""
        return [value or "" for _, attributes in self.tags for name, value in attributes.items() if name in names]


@pytest.fixture
def socket_page(client: FlaskClient) -> Page:
    """The page about the socket."""
    return Page(client.get("/docs/socket").text)


@pytest.fixture
def messages(client: FlaskClient) -> dict[str, Any]:
    """The messages that the page is generated from."""
    found: dict[str, Any] = client.get("/asyncapi.json").json["components"]["messages"]
    return found


def test_the_root_redirects_to_the_docs(client: FlaskClient) -> None:
    answer = client.get("/")
    assert (answer.status_code, answer.headers["Location"]) == (302, "docs")
    assert client.get("/", follow_redirects=True).status_code == 200


@pytest.mark.parametrize("path", POLICIES)
def test_a_page_may_load_only_files_of_the_service(client: FlaskClient, path: str) -> None:
    answer = client.get(path)
    assert answer.content_type == "text/html; charset=utf-8"
    directives = answer.headers["Content-Security-Policy"].split("; ")
    assert dict(directive.split(" ", 1) for directive in directives) == NOTHING_ELSE | POLICIES[path]


@pytest.mark.parametrize("path", POLICIES)
def test_a_page_has_no_script_and_no_style_in_its_markup(client: FlaskClient, path: str) -> None:
    page = Page(client.get(path).text)
    assert all(attributes.get("src") for tag, attributes in page.tags if tag == "script")
    assert not {"style", "iframe"} & {tag for tag, _ in page.tags}
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on") or name == "style"]


@pytest.mark.parametrize("path", POLICIES)
def test_every_link_of_a_page_resolves(client: FlaskClient, path: str) -> None:
    page = Page(client.get(path).text)
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    links = page.values("href", "src")
    assert len(links) > 4
    for link in links:
        parts = urlsplit(link)
        assert (parts.scheme, parts.netloc) == ("", ""), link
        assert not link.startswith("/"), "the service may be served below a path prefix"
        assert client.get(urljoin(path, link)).status_code == 200, link
        assert not parts.fragment or parts.fragment in ids


@pytest.mark.parametrize("name", ["style.css", "extension.css", "demo.css"])
def test_a_style_sheet_loads_nothing_and_has_dark_colours(client: FlaskClient, name: str) -> None:
    answer = client.get(f"/static/{name}")
    assert answer.content_type == "text/css; charset=utf-8"
    assert "prefers-color-scheme: dark" in answer.text
    assert "url(" not in answer.text
    assert "@import" not in answer.text


def test_an_unchanged_file_is_not_sent_again(client: FlaskClient) -> None:
    answer = client.get(f"/static/{BUNDLE}")
    assert answer.headers["Cache-Control"] == "no-cache"
    again = client.get(f"/static/{BUNDLE}", headers={"If-None-Match": answer.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")


def test_swagger_ui_has_the_pinned_version(client: FlaskClient) -> None:
    answer = client.get(f"/static/{BUNDLE}")
    assert (answer.mimetype, answer.headers["Content-Encoding"]) == ("text/javascript", "gzip")
    version = json.loads((ROOT / "vendor" / "package.json").read_text())["dependencies"]["swagger-ui-dist"]
    assert f'"{version}"' in gzip.decompress(answer.data).decode()


def test_a_page_that_does_not_exist_is_not_found(client: FlaskClient) -> None:
    for path in ("/static/none.css", "/static/", "/docs/none"):
        answer = client.get(path)
        assert (answer.status_code, answer.json["code"]) == (404, "ERR_NOT_FOUND")


def test_every_message_is_on_the_socket_page(socket_page: Page, messages: dict[str, Any]) -> None:
    assert set(messages) <= set(socket_page.values("id"))
    for message in messages.values():
        assert all(field in socket_page.text for field in message["payload"]["properties"])
        [example] = message["examples"]
        assert re.sub(r"\s+", " ", pages_base.pretty(example["payload"])) in socket_page.text


def test_nested_fields_are_on_the_socket_page(socket_page: Page) -> None:
    for field in ("upload.maxBytes", "metadata.capabilities", "status.available"):
        assert field in socket_page.text


def test_every_close_code_is_on_the_socket_page(socket_page: Page) -> None:
    for code in CloseCode:
        assert f"{code}{code.meaning.replace('`', '')}" in socket_page.text


def test_the_socket_page_shows_the_address_that_the_client_used(client: FlaskClient) -> None:
    assert "wss://img:8443/ws" in client.get("/docs/socket", base_url="https://img:8443").text


@pytest.mark.parametrize("path", POLICIES)
def test_a_host_header_cannot_inject_html_into_a_page(client: FlaskClient, path: str) -> None:
    assert "<b>" not in client.get(path, headers={"Host": 'x"><b>y</b>'}).text


def test_text_is_escaped_and_code_marked_up() -> None:
    assert pages_base.inline("a `b<` <c>") == "a <code>b&lt;</code> &lt;c&gt;"
    assert pages_base.breakable("a.b_<") == "a.<wbr>b_<wbr>&lt;"
