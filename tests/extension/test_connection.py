"""How the extension connects: authentication, rejected tokens, and browsers with the same name."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.chromium import Chromium, running_chromium
from tests.support.management import manage
from tests.support.service import Service, running_service

SMALL = {"width": 48, "height": 32}


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    """A browser without a server address."""
    with running_chromium(tmp_path_factory.mktemp("browser")) as browser:
        yield browser


def generate(service: Service, key: str, model: str) -> Any:
    """Request a picture with this API key and wait for the result."""
    authorization = f"Bearer {key}"
    body = {"prompt": "a fox", "model": model, "parameters": SMALL}
    request_id = service.post("/api/images/generate", body, Authorization=authorization).json["requestId"]
    result = service.get(f"/api/images/{request_id}?wait=30", Authorization=authorization).json
    while result["status"] not in {"completed", "failed", "cancelled"}:
        result = service.get(
            f"/api/images/{request_id}?wait=30&since={result['version']}", Authorization=authorization
        ).json
    return result


def entry(*models: str) -> dict[str, Any]:
    return {
        "id": "canvas",
        "kind": "canvas",
        "name": "Test pictures",
        "enabled": True,
        "models": models,
        "settings": {},
    }


def test_a_browser_without_a_server_address_shows_that(browser: Chromium) -> None:
    assert browser.until_status("status.state === 'unset'")["why"] == "No server address is set."


def test_a_wrong_token_is_rejected_with_the_server_s_message_and_a_right_one_connects_at_once(
    browser: Chromium, guarded: Service
) -> None:
    name = "browser-with-a-token"
    browser.save(server=guarded.url(), token="", extensionId=name, providers=[entry("guarded")])
    missing = browser.until_status("status.state === 'refused'")
    browser.save(token="imft_wrong_token")
    wrong = browser.until_status(f"status.state === 'refused' && status.since > {missing['since']}")
    other_token = manage(guarded, "create-extension-token", "another-name")
    browser.save(token=other_token)
    other = browser.until_status(f"status.state === 'refused' && status.since > {wrong['since']}")

    for refused in (missing, wrong, other):
        assert "token" in refused["why"].lower(), refused
        assert refused["retryAt"] - refused["since"] > 60_000, "it retries too often"

    browser.save(token=manage(guarded, "create-extension-token", name))
    assert browser.until_status("status.state === 'connected'")["why"] == ""
    manage(guarded, "create-user", "ann")
    assert generate(guarded, manage(guarded, "create-key", "ann"), "guarded")["status"] == "completed"


def test_a_revoked_token_disconnects_and_a_new_one_reconnects(browser: Chromium, guarded: Service) -> None:
    name = "revoked-browser"
    token = manage(guarded, "create-extension-token", name)
    browser.save(server=guarded.url(), token=token, extensionId=name)
    before = browser.until_status("status.state === 'connected'")

    manage(guarded, "revoke-extension-token", token.split("_")[1])

    refused = browser.until_status(f"status.state === 'refused' && status.since > {before['since']}", 30)
    assert "token" in refused["why"].lower()
    browser.save(token=manage(guarded, "create-extension-token", name))
    browser.until_status("status.state === 'connected'")


def test_another_web_server_is_recognised_as_such(browser: Chromium, guarded: Service) -> None:
    browser.save(server=guarded.url("/docs"), token="")

    why = browser.until_status("status.state === 'waiting'")["why"]
    assert why == "There is no Imagefleet server at this address."


def test_a_second_browser_with_the_same_name_replaces_the_first_which_waits_and_shows_why(
    tmp_path: Path, service: Service
) -> None:
    shared = {"extensionId": "two-browsers", "providers": [entry("two-browsers")]}
    with (
        running_chromium(tmp_path / "first", service.url()) as first,
        running_chromium(tmp_path / "second", service.url()) as second,
    ):
        first.save(**shared)
        first.until_status("status.state === 'connected'")
        second.save(**shared)

        replaced = first.until_status("status.state === 'refused'")
        assert replaced["why"].startswith("Another browser uses the name two-browsers")
        assert replaced["retryAt"] - replaced["since"] > 120_000, "the browsers would keep replacing each other"
        assert second.until_status("status.state === 'connected'")["why"] == ""
        request_id = service.submit("a fox", model="two-browsers", parameters=SMALL)
        assert service.final(request_id)["status"] == "completed"

        first.save(extensionId="a-name-of-its-own")
        first.until_status("status.state === 'connected'")
        assert second.status()["state"] == "connected"


def test_the_first_start_creates_a_name_and_keeps_it(tmp_path: Path) -> None:
    script = "(await (await import('/shared/settings.js')).load())"
    with running_chromium(tmp_path / "browser", "http://127.0.0.1:1") as browser:
        created = browser.evaluate(script)
        browser.install()

        assert browser.evaluate(script) == created
        assert created["server"] == "http://127.0.0.1:1"
        assert created["extensionId"].startswith("chrome-")
        assert len(created["extensionId"]) == len("chrome-") + 12
