"""The pages in a real browser: readable and usable on every screen, with nothing that their content security policy blocks."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from werkzeug.serving import make_server

from app.container import Services
from app.domain.access import Role, Scope
from app.factory import create_app
from tests.support.axe import findings
from tests.support.chromium import Chromium, running_chromium
from tests.support.page_user import RECORD_ERRORS, PageUser

PAGES = ("/docs", "/docs/socket", "/extension", "/extension/demo")
WIDTHS = (320, 378, 768, 1280)
SWAGGER_UI = "#swagger-ui"
OPERATION = ".opblock.is-open"
USER = "cli-user-123"  # the user of the example request
# Swagger UI colours examples word by word, on the elements themselves; numbers in them have too little contrast.
EXAMPLES = ".microlight"
# Other rules that Swagger UI's own markup violates.
IN_SWAGGER_UI = {
    "heading-order",  # tags are h3 below its h1
    "label",  # the editor of the request's body
    "landmark-unique",  # open operations have regions of the same name
    "nested-interactive",  # an operation's heading is a button around buttons
    "select-name",  # servers, media types, examples
}


@pytest.fixture
def database_url(fresh_sqlite: str) -> str:
    """SQLite alone: the pages make no queries."""
    return fresh_sqlite


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    """A browser for all tests of this module."""
    with running_chromium(tmp_path_factory.mktemp("browser")) as browser:
        yield browser


@pytest.fixture
def address(guarded: Services) -> Iterator[str]:
    """The URL of a service that requires authentication."""
    yield from _served(create_app(guarded.settings, guarded))


def _served(app: Flask) -> Iterator[str]:
    server = make_server("127.0.0.1", 0, app, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.fixture
def visit(browser: Chromium, address: str) -> Iterator[Callable[[str], PageUser]]:
    """A function that opens a page and waits until it is complete; fails at the end if a page reported an error."""
    with browser.open("pages/popup.html") as page:
        page.call("Page.enable")
        page.call("Page.addScriptToEvaluateOnNewDocument", source=RECORD_ERRORS)
        person = PageUser(page)

        def open_page(path: str) -> PageUser:
            page.call("Page.navigate", url=address + path)
            person.wait(f"location.href.startsWith({json.dumps(address)}) && document.readyState === 'complete'")
            if path.startswith("/docs") and "socket" not in path:
                person.wait("document.querySelectorAll('.opblock').length > 10")
            return person

        yield open_page
        assert person.errors == []


def overflow(person: PageUser) -> list[int]:
    """The widths of the window at which the page is wider than the window."""
    return [width for width in WIDTHS if _is_wider(person, width)]


def _is_wider(person: PageUser, width: int) -> bool:
    person.resize(width)
    return bool(person.evaluate("document.documentElement.scrollWidth") > width)


def open_operation(person: PageUser, operation: str) -> None:
    """Open one of Swagger UI's operations, with its form."""
    person.click(f"#operations-{operation} .opblock-summary-control")
    person.wait(f"!!document.querySelector('#operations-{operation} .execute')")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", PAGES)
def test_our_own_markup_has_no_accessibility_findings(visit: Callable[[str], PageUser], path: str, scheme: str) -> None:
    person = visit(path)
    person.prefers(color_scheme=scheme)
    assert findings(person.page, without=SWAGGER_UI if path == "/docs" else None) == {}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_swagger_ui_has_known_findings_only(visit: Callable[[str], PageUser], scheme: str) -> None:
    person = visit("/docs")
    person.prefers(color_scheme=scheme)
    for operation in ("Images-listImages", "Images-generateImage"):
        open_operation(person, operation)
    found = findings(person.page, within=SWAGGER_UI, without=EXAMPLES)
    assert set(found) == IN_SWAGGER_UI, found


@pytest.mark.parametrize("path", PAGES)
def test_a_page_fits_every_screen(visit: Callable[[str], PageUser], path: str) -> None:
    assert overflow(visit(path)) == []


@pytest.mark.parametrize("operation", ["Images-generateImage", "Images-listImages", "Files-uploadPicture"])
def test_an_open_operation_fits_every_screen(visit: Callable[[str], PageUser], operation: str) -> None:
    person = visit("/docs")
    open_operation(person, operation)
    assert overflow(person) == []


@pytest.mark.parametrize("path", PAGES)
def test_pages_follow_the_preferred_colour_scheme(visit: Callable[[str], PageUser], path: str) -> None:
    person = visit(path)
    brightness = "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).reduce((sum, each) => sum + +each, 0)"
    person.prefers(color_scheme="dark")
    assert person.evaluate(brightness) < 150
    person.prefers(color_scheme="light")
    assert person.evaluate(brightness) > 600


def test_swagger_ui_follows_a_change_of_the_preferred_colours(visit: Callable[[str], PageUser]) -> None:
    person = visit("/docs")
    for scheme, is_dark in (("dark", True), ("light", False)):
        person.prefers(color_scheme=scheme)
        person.wait(f"document.documentElement.classList.contains('dark-mode') === {json.dumps(is_dark)}")


def test_a_link_to_an_operation_opens_it(visit: Callable[[str], PageUser]) -> None:
    person = visit("/docs#/Images/getImageStatus")
    person.wait(f"document.querySelector('{OPERATION}')?.id === 'operations-Images-getImageStatus'")


def test_an_operation_can_be_tried_with_a_key(visit: Callable[[str], PageUser], guarded: Services) -> None:
    guarded.accounts.create_user(USER, Role.USER)
    key = str(guarded.accounts.create_key(USER, (Scope.READ, Scope.WRITE)))
    person = visit("/docs")
    open_operation(person, "Images-generateImage")
    assert execute(person) == "401"

    person.click(".btn.authorize")
    person.wait("!!document.querySelector('#auth-bearer-value')")
    person.type("#auth-bearer-value", key)
    person.click(".auth-btn-wrapper .authorize")
    person.click(".auth-btn-wrapper .btn-done")
    assert execute(person) == "200"
    request_id = person.evaluate("JSON.parse(document.querySelector('.live-responses-table code').innerText).requestId")
    assert guarded.lookup.details(request_id).job.user_id == USER


def execute(person: PageUser) -> str:
    """Press the button; returns the status of the response."""
    person.evaluate(f"document.querySelector('{OPERATION} .btn-clear')?.click()")
    person.wait("!document.querySelector('.live-responses-table')")
    person.click(f"{OPERATION} .execute")
    person.wait("!!document.querySelector('.live-responses-table .response-col_status')")
    return person.text(".live-responses-table .response .response-col_status").split()[0]


def test_the_demo_studio_leaves_the_focus_at_the_button(visit: Callable[[str], PageUser]) -> None:
    person = visit("/extension/demo?pace=1")
    person.type("#prompt", "a lighthouse")
    person.evaluate("document.querySelector('#make').focus()")
    person.press("Enter")
    person.wait("!document.querySelector('#result').hidden")
    assert person.evaluate("document.activeElement.id") == "make"
    assert person.evaluate("document.querySelector('#make').getAttribute('aria-disabled')") == "false"
