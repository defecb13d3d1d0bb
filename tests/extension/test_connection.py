"""How the extension comes in: with its token, under its name, alone."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.chromium import Chromium, running_chromium
from tests.support.service import ROOT, Service, running_service

SMALL = {"width": 48, "height": 32}


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, migrated_sqlite_file: Path, redis_url: str) -> Iterator[Service]:
    """A service where everybody must show who they are; slow machines may take their time to."""
    folder = tmp_path_factory.mktemp("guarded")
    database = shutil.copyfile(migrated_sqlite_file, folder / "imagefleet.db")
    wanted = {"AUTH_MODE": "required", "AUTHENTICATION_TIMEOUT_MS": "10000"}
    with running_service(folder, f"sqlite:///{database}", redis_url, webs=1, workers=1, **wanted) as service:
        yield service


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    """A browser that knows no server yet."""
    with running_chromium(tmp_path_factory.mktemp("browser")) as browser:
        yield browser


def manage(service: Service, *words: str) -> str:
    """What the operator's command prints."""
    command = [sys.executable, "-m", "app.manage", *words]
    env = {**os.environ, **service.env}
    return subprocess.run(command, cwd=ROOT, env=env, check=True, capture_output=True, text=True).stdout.strip()


def draw(service: Service, key: str, model: str) -> Any:
    """Have a picture drawn for the user with that key; the result."""
    shown = f"Bearer {key}"
    order = {"prompt": "a fox", "model": model, "parameters": SMALL}
    request_id = service.post("/api/images/generate", order, Authorization=shown).json["requestId"]
    result = service.get(f"/api/images/{request_id}?wait=30", Authorization=shown).json
    while result["status"] not in {"completed", "failed", "cancelled"}:
        result = service.get(f"/api/images/{request_id}?wait=30&since={result['version']}", Authorization=shown).json
    return result


def entry(*models: str) -> dict[str, Any]:
    return {"id": "canvas", "kind": "canvas", "name": "Drawn", "enabled": True, "models": models, "settings": {}}


def test_a_browser_that_knows_no_server_says_so(browser: Chromium) -> None:
    assert browser.until_status("status.state === 'unset'")["why"] == "No server is set yet."


def test_a_wrong_token_is_refused_in_the_server_s_words_and_the_right_one_is_let_in_at_once(
    browser: Chromium, guarded: Service
) -> None:
    name = "browser-with-a-token"
    browser.save(server=guarded.url(), token="", extensionId=name, providers=[entry("guarded")])
    without = browser.until_status("status.state === 'refused'")
    browser.save(token="imft_wrong_token")
    wrong = browser.until_status(f"status.state === 'refused' && status.since > {without['since']}")
    others = manage(guarded, "create-extension-token", "another-name")
    browser.save(token=others)
    another = browser.until_status(f"status.state === 'refused' && status.since > {wrong['since']}")

    for refused in (without, wrong, another):
        assert "token" in refused["why"].lower(), refused
        assert refused["retryAt"] - refused["since"] > 60_000, "it would be knocking all the time"

    browser.save(token=manage(guarded, "create-extension-token", name))
    assert browser.until_status("status.state === 'connected'")["why"] == ""
    manage(guarded, "create-user", "ann")
    assert draw(guarded, manage(guarded, "create-key", "ann"), "guarded")["status"] == "completed"


def test_a_token_that_is_revoked_sends_it_away_and_a_new_one_brings_it_back(
    browser: Chromium, guarded: Service
) -> None:
    name = "revoked-browser"
    token = manage(guarded, "create-extension-token", name)
    browser.save(server=guarded.url(), token=token, extensionId=name)
    before = browser.until_status("status.state === 'connected'")

    manage(guarded, "revoke-extension-token", token.split("_")[1])

    refused = browser.until_status(f"status.state === 'refused' && status.since > {before['since']}", 30)
    assert "token" in refused["why"].lower()
    browser.save(token=manage(guarded, "create-extension-token", name))
    browser.until_status("status.state === 'connected'")


def test_what_is_no_server_of_ours_is_named_as_such(browser: Chromium, guarded: Service) -> None:
    browser.save(server=guarded.url("/docs"), token="")

    why = browser.until_status("status.state === 'waiting'")["why"]
    assert why == "There is no Imagefleet server at this address."


def test_a_second_browser_under_the_same_name_takes_over_and_the_first_says_so_and_waits(
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

        away = first.until_status("status.state === 'refused'")
        assert away["why"].startswith("Another browser goes by the name two-browsers")
        assert away["retryAt"] - away["since"] > 120_000, "they would push each other out for ever"
        assert second.until_status("status.state === 'connected'")["why"] == ""
        request_id = service.submit("a fox", model="two-browsers", parameters=SMALL)
        assert service.final(request_id)["status"] == "completed"

        first.save(extensionId="a-name-of-its-own")
        first.until_status("status.state === 'connected'")
        assert second.status()["state"] == "connected"


def test_a_first_start_makes_a_name_and_keeps_it(tmp_path: Path) -> None:
    script = "(await (await import('/shared/settings.js')).load())"
    with running_chromium(tmp_path / "browser", "http://127.0.0.1:1") as browser:
        made = browser.evaluate(script)
        browser.install()

        assert browser.evaluate(script) == made
        assert made["server"] == "http://127.0.0.1:1"
        assert made["extensionId"].startswith("chrome-")
        assert len(made["extensionId"]) == len("chrome-") + 12
