"""The popup in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.chromium import Chromium, running_chromium
from tests.support.page_user import PageUser, page_user
from tests.support.ports import free_ports
from tests.support.service import Service

POPUP = "pages/popup.html"
MODEL = "of-the-popup"
SLOW = {
    "id": "canvas",
    "kind": "canvas",
    "name": "Slow",
    "enabled": True,
    "models": [MODEL],
    "settings": {"delayMs": 150},
}


@pytest.fixture(scope="module")
def running_browser(tmp_path_factory: pytest.TempPathFactory, service: Service) -> Iterator[Chromium]:
    """A browser with a copy of the extension that was downloaded from the service."""
    allowed = ["http://127.0.0.1/*"]
    with running_chromium(tmp_path_factory.mktemp("browser"), service.url(), host_permissions=allowed) as browser:
        yield browser


@pytest.fixture
def browser(running_browser: Chromium) -> Chromium:
    """The same browser with a new installation of the extension, connected."""
    running_browser.reinstall()
    running_browser.until_status("status.state === 'connected'")
    return running_browser


@pytest.fixture
def person(browser: Chromium) -> Iterator[PageUser]:
    """A person who has opened the popup."""
    with page_user(browser, POPUP) as person:
        yield person


def number(person: PageUser, name: str) -> int:
    return int(person.text(f"#{name}"))


def test_a_job_is_shown_with_its_progress_and_counted_when_completed(
    browser: Chromium, person: PageUser, service: Service
) -> None:
    browser.save(providers=[SLOW])
    request_id = service.submit("a red fox <b>at</b> dusk", model=MODEL, parameters={"width": 64, "height": 64})
    person.wait("document.querySelector('.job progress')?.value > 0")
    assert person.names("progressbar") == ["a red fox <b>at</b> dusk"]
    assert person.text("#sentence") == "Working on one job."
    shown = person.text(".job")
    assert MODEL in shown
    assert "%" in shown
    before = person.evaluate("document.querySelector('.job progress').value")
    person.wait(f"document.querySelector('.job progress').value > {before}")

    assert service.final(request_id)["status"] == "completed"
    person.wait_for_text("#sentence", "Ready for work.")
    person.wait("document.querySelector('#done').innerText === '1'")
    person.wait("document.querySelector('#unsent').innerText === '0'")
    assert person.evaluate("document.querySelector('#jobs').hidden")
    assert number(person, "failed") == 0


def test_the_switch_pauses_and_resumes(browser: Chromium, person: PageUser, service: Service) -> None:
    browser.save(providers=[{**SLOW, "settings": {}}])
    browser.until_status("status.state === 'connected'")
    person.click("#paused")
    person.wait_for_text("#state", "Paused")
    browser.until_status("status.notTaking === 'paused'")
    request_id = service.submit(model=MODEL)
    assert person.evaluate("document.querySelector('#jobs').hidden")
    assert service.status(request_id)["status"] == "accepted"

    person.click("#paused")
    assert service.final(request_id)["status"] == "completed"
    person.wait_for_text("#state", "Connected")


def test_the_reason_for_a_disconnection_is_shown_and_the_button_retries_at_once(
    browser: Chromium, person: PageUser, service: Service
) -> None:
    browser.save(server=f"http://127.0.0.1:{free_ports(1)[0]}")
    person.wait_for_text("#state", "Not connected")
    assert "cannot be reached" in person.text("#sentence")
    person.wait_for_text("#retry", "Trying again in")
    since = person.evaluate("(await chrome.storage.session.get('status')).status.retryAt")
    person.click("#again")
    person.wait(f"(await chrome.storage.session.get('status')).status.retryAt > {since}")

    browser.save(server=service.url())
    person.wait_for_text("#state", "Connected")
    assert person.evaluate("document.querySelector('#again-row').hidden")


def test_an_extension_without_server_offers_the_settings(tmp_path: Path) -> None:
    with running_chromium(tmp_path / "browser", "") as browser, page_user(browser, POPUP) as person:
        person.wait_for_text("#state", "Not set up")
        assert person.evaluate("document.querySelector('#server-page').hidden")
        person.evaluate("globalThis.close = () => 0")
        person.click("#set-up")
        targets = "(await chrome.tabs.query({})).length"
        person.wait(f"{targets} > 2")


def test_it_links_to_the_server(person: PageUser, service: Service) -> None:
    assert person.evaluate("document.querySelector('#server-page').href") == service.url("/")
    assert person.evaluate("document.querySelector('#server').innerText").endswith(f" at {service.url()}")


def test_the_reason_of_the_last_failure_is_shown(browser: Chromium, person: PageUser, service: Service) -> None:
    forge = {"address": f"http://127.0.0.1:{free_ports(1)[0]}"}
    browser.save(providers=[{**SLOW, "kind": "automatic1111", "settings": forge}])
    request_id = service.submit(model=MODEL)
    person.wait("document.querySelector('#failed').innerText > 0")
    person.wait("!document.querySelector('#failure').hidden")
    # Otherwise the extension of the next test would get it.
    service.delete(f"/api/images/{request_id}")
    assert MODEL in person.text("#failure-model")
    assert "127.0.0.1" in person.text("#failure-reason")


def test_a_generator_that_takes_no_jobs_is_shown_with_the_reason(browser: Chromium, person: PageUser) -> None:
    keyless = {**SLOW, "id": "paid", "name": "Paid", "kind": "openai", "settings": {}}
    browser.save(providers=[keyless, {**SLOW, "models": ["*"]}])
    person.wait_for_text("#troubles", "This address needs an API key.")
    assert "Paid" in person.text("#troubles")
    assert person.text("#sentence") == "Ready for work."

    browser.save(providers=[keyless])
    person.wait_for_text("#state", "Not ready")

    browser.save(providers=[SLOW])
    person.wait("document.querySelector('#troubles').hidden")
