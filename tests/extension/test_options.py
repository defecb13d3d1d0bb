"""The settings page, used by a person in a real browser, with the real service."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.chromium import Chromium, running_chromium
from tests.support.management import manage
from tests.support.page_user import PageUser, page_user
from tests.support.ports import free_ports
from tests.support.service import Service, running_service
from tests.support.waiting import until

OPTIONS = "pages/options.html"
EVERYWHERE = ["http://*/*", "https://*/*"]
CANVAS = {"id": "canvas", "kind": "canvas", "name": "Test pictures", "enabled": True, "models": ["*"], "settings": {}}


@pytest.fixture(scope="module")
def running_browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    """A browser whose extension may access every host."""
    with running_chromium(tmp_path_factory.mktemp("browser"), "", host_permissions=EVERYWHERE) as browser:
        yield browser


@pytest.fixture
def browser(running_browser: Chromium) -> Chromium:
    """The same browser with a new installation of the extension, which is not set up yet."""
    running_browser.reinstall()
    return running_browser


@pytest.fixture
def person(browser: Chromium) -> Iterator[PageUser]:
    """A person who has opened the settings."""
    with page_user(browser, OPTIONS) as person:
        yield person


def saved(browser: Chromium) -> Any:
    return browser.evaluate("await (await import('/shared/settings.js')).load()")


def focused(person: PageUser) -> str:
    """The id or the action of the element with the focus."""
    return str(person.evaluate("document.activeElement.id || document.activeElement.dataset.act"))


def description(person: PageUser, element: str) -> str:
    """The text that screen readers announce for a field."""
    script = "(e => e.getAttribute('aria-describedby').split(' ').map(i => document.getElementById(i).innerText))"
    return " ".join(person.evaluate(f"{script}(document.getElementById('{element}'))")).strip()


def test_after_entering_an_address_the_first_job_is_completed(
    browser: Chromium, person: PageUser, service: Service
) -> None:
    assert focused(person) == "pairing"
    assert "Not set up" in person.wait_for_text("#state", "Not set up")

    person.type("#address", service.url().removeprefix("http://") + "/")
    person.press("Enter")
    person.wait_for_text("#state", "Connected")

    assert saved(browser)["server"] == service.url()
    assert person.evaluate("document.querySelector('#address').value") == service.url()
    result = service.final(service.submit("a lighthouse", model="of-the-options"))
    assert result["status"] == "completed"
    browser.until_status("status.today.done > 0 && status.unsent === 0")


def test_an_unreachable_address_is_reported_and_retried(person: PageUser) -> None:
    address = f"http://127.0.0.1:{free_ports(1)[0]}"
    person.type("#address", address)
    person.click("#connect")

    assert person.wait_for_text("#sentence", "cannot be reached") == f"The server at {address} cannot be reached."
    assert person.wait_for_text("#header-state", "Not connected") == "Not connected"
    person.wait_for_text("#retry", "Trying again in")


def test_a_wrong_token_is_reported_and_a_pairing_code_corrects_it(
    browser: Chromium, person: PageUser, guarded: Service
) -> None:
    code = manage(guarded, "create-extension-token", "ann-laptop", "--pairing", "--server", guarded.url())
    person.type("#address", guarded.url())
    person.type("#token", "guessed")
    person.click("#connect")
    person.wait_for_text("#state", "Refused")
    assert "token" in person.text("#sentence")

    person.type("#pairing", code)
    person.wait_for_text("#pairing-message", "filled in")
    assert person.evaluate("document.querySelector('#pairing').value") == ""
    person.click("#connect")
    person.wait_for_text("#state", "Connected")

    settings = saved(browser)
    assert (settings["server"], settings["extensionId"]) == (guarded.url(), "ann-laptop")
    assert len(settings["token"]) > 20


def test_an_invalid_pairing_code_is_reported_when_the_field_loses_the_focus(person: PageUser) -> None:
    person.type("#pairing", "imagefleet:rubbish")
    assert person.text("#pairing-problem") == ""
    person.press("Tab")
    assert "damaged" in person.wait_for_text("#pairing-problem", "pairing code")
    assert "damaged" in description(person, "pairing")


@pytest.mark.parametrize(
    ("address", "has_warning"),
    [
        ("http://localhost:3000", False),
        ("http://127.0.0.1", False),
        ("https://pictures.example", False),
        ("http://pictures.example", True),
        ("ws://192.168.1.7", True),
    ],
)
def test_unencrypted_addresses_show_a_warning(person: PageUser, address: str, has_warning: bool) -> None:
    person.type("#address", address)
    assert person.evaluate("!document.querySelector('#address-warning').hidden") is has_warning


def test_invalid_fields_show_messages_and_the_first_gets_the_focus(browser: Chromium, person: PageUser) -> None:
    person.click("#connect")
    assert focused(person) == "address"
    assert "Enter the address" in description(person, "address")

    person.type("#address", "ftp://pictures.example")
    person.type("#extension-id", "")
    person.click("#connect")
    person.wait_for_text("#address-problem", "http://")
    assert focused(person) == "address"
    assert person.evaluate("[...document.querySelectorAll('[aria-invalid]')].map(e => e.id)") == ["address", "extension-id"]
    assert "1 to 128" in description(person, "extension-id")
    assert saved(browser)["server"] == ""

    person.type("#address", "https://pictures.example")
    assert person.text("#address-problem") == ""


def test_a_token_can_be_shown(person: PageUser) -> None:
    person.type("#token", "secret")
    assert person.evaluate("document.querySelector('#token').type") == "password"
    person.click("#token-show")
    assert person.evaluate("document.querySelector('#token').type") == "text"
    assert person.evaluate("document.querySelector('#token-show').ariaPressed") == "true"


def test_work_settings_are_saved_on_change_unless_they_are_invalid(browser: Chromium, person: PageUser) -> None:
    person.type("#concurrency", "9")
    person.press("Tab")
    person.wait_for_text("#concurrency-problem", "from 1 to 8")
    assert "Not saved" in person.text("#work-message")
    assert focused(person) != "concurrency", "the focus must not be trapped"
    assert saved(browser)["concurrency"] == 1
    person.type("#concurrency", "3")
    person.press("Tab")
    person.wait_for_text("#work-message", "Saved.")
    assert person.text("#concurrency-problem") == ""

    person.click("#hours-enabled")
    person.wait("!document.querySelector('#hours-more').hidden")
    person.click("[name=day][value='6']")
    person.wait_for_text("#hours-words", "Monday to Saturday")
    person.wait("(await chrome.storage.local.get('settings')).settings.hours.days.length === 6")
    assert saved(browser)["hours"] == {"enabled": True, "days": [1, 2, 3, 4, 5, 6], "from": "09:00", "to": "18:00"}
    assert saved(browser)["concurrency"] == 3


def test_changes_from_other_pages_do_not_overwrite_unsaved_input(browser: Chromium, person: PageUser) -> None:
    person.type("#address", "https://unsaved.example")
    browser.save(paused=True, server="https://elsewhere.example")
    person.wait("document.querySelector('#paused').checked")
    assert person.evaluate("document.querySelector('#address').value") == "https://unsaved.example"


def test_a_test_picture_is_made(browser: Chromium, person: PageUser) -> None:
    person.type("#trial-prompt", "")
    person.click("#trial-start")
    assert focused(person) == "trial-prompt"
    assert "Describe the picture" in description(person, "trial-prompt")

    browser.save(providers=[{**CANVAS, "settings": {"delayMs": 60}}])
    person.type("#trial-prompt", "a red fox")
    person.press("Enter")
    person.wait("document.querySelector('#trial-progress').value > 0")
    assert person.evaluate("document.querySelector('#trial-start').ariaDisabled") == "true"
    person.wait_for_text("#trial-message", "Done.")
    shown = person.evaluate("(({alt, naturalWidth}) => [alt, naturalWidth])(document.querySelector('#trial-picture'))")
    assert shown == ["a red fox", 512]
    assert person.text("#trial-caption").startswith("512 × 512 px, ")
    assert person.evaluate("document.querySelector('#trial-progress').hidden")


def test_enter_makes_a_test_picture_and_the_button_keeps_the_focus(person: PageUser) -> None:
    person.evaluate("document.querySelector('#trial-start').focus()")
    person.press("Enter")
    person.wait("document.querySelector('#trial-message').innerText")
    assert focused(person) == "trial-start"
    person.wait_for_text("#trial-message", "Done.")
    assert focused(person) == "trial-start"


def test_the_navigation_marks_the_section_that_was_chosen_or_scrolled_to(person: PageUser) -> None:
    current = "[...document.querySelectorAll('nav [aria-current]')].map(e => e.getAttribute('href')).join()"
    assert person.evaluate(current) == "#server"
    for section in ("#providers", "#work", "#trial", "#backup", "#server"):
        person.click(f"nav [href='{section}']")
        person.wait(f"{current} === '{section}'")
    person.evaluate("document.documentElement.style.scrollBehavior = 'auto'")
    person.press("Tab")  # the user takes over
    person.evaluate("scrollTo(0, document.body.scrollHeight)")
    person.wait(f"{current} === '#backup'")
    person.evaluate("scrollTo(0, 0)")
    person.wait(f"{current} === '#server'")


def test_a_failed_test_picture_shows_the_reason(browser: Chromium, person: PageUser) -> None:
    address = f"http://127.0.0.1:{free_ports(1)[0]}"
    broken = {**CANVAS, "id": "a", "kind": "automatic1111", "name": "Forge", "settings": {"address": address}}
    browser.save(providers=[broken])
    person.wait("document.querySelector('#trial-provider').value === 'a'")
    person.click("#trial-start")
    person.wait("document.querySelector('#trial-message').dataset.tone === 'bad'")
    assert "127.0.0.1" in person.text("#trial-message")
    assert person.evaluate("document.querySelector('#trial-result').hidden")

    person.click("[data-entry=a] [data-act=check]")
    person.wait("document.querySelector('[data-entry=a] .message').dataset.tone === 'bad'")


def test_a_provider_is_added_moved_disabled_removed_and_restored(browser: Chromium, person: PageUser) -> None:
    person.click("[data-kind=openai]")
    assert focused(person) == "entry-name"
    person.type("#entry-name", "My own key")
    person.type("#entry-models", "dall-e-3, gpt-image-1 ,dall-e-3")
    assert person.evaluate("[...document.querySelectorAll('#entry-models-chips li')].map(e => e.innerText)") == [
        "dall-e-3",
        "gpt-image-1",
    ]
    person.type("#setting-address", "api.example")
    person.type("#setting-address", "http://api.example")
    assert "not encrypted" in person.wait_for_text("#editor-fields .note", "others on the network")
    person.type("#setting-address", "api.example")
    person.type("#setting-key", "sk-secret")
    person.press("Enter")
    assert focused(person) == "setting-address"
    assert "http" in description(person, "setting-address")
    person.type("#setting-address", "http://127.0.0.1:9/v1")
    person.press("Enter")
    person.wait_for_text("#providers-message", "My own key was saved.")

    first, second = saved(browser)["providers"]
    assert (first["name"], first["models"], second["id"]) == ("My own key", ["dall-e-3", "gpt-image-1"], "canvas")
    assert (first["settings"]["address"], first["settings"]["key"]) == ("http://127.0.0.1:9/v1", "sk-secret")
    assert focused(person) == "edit"

    row = f"[data-entry='{first['id']}']"
    person.click(f"{row} [data-act=down]")
    person.wait_for_text("#providers-message", "number 2")
    assert focused(person) == "up", "the disabled button must lose the focus"
    person.click(f"{row} [data-act=switch]")
    person.wait_for_text("#providers-message", "off")
    assert [(each["id"], each["enabled"]) for each in saved(browser)["providers"]] == [
        ("canvas", True),
        (first["id"], False),
    ]

    person.click("[data-entry=canvas] [data-act=remove]")
    person.wait_for_text("#providers-message", "removed")
    assert focused(person) == "undo"
    person.press("Enter")
    person.wait_for_text("#providers-message", "restored")
    assert [each["id"] for each in saved(browser)["providers"]] == ["canvas", first["id"]]


def test_a_provider_without_its_permission_is_not_put_on_top(tmp_path: Path) -> None:
    with running_chromium(tmp_path / "browser", "") as browser, page_user(browser, OPTIONS) as person:
        person.evaluate("chrome.permissions.request = async () => false; 0")  # a headless browser shows no prompt
        person.click("[data-kind=openai]")
        person.type("#entry-name", "My own key")
        person.type("#setting-key", "sk-secret")
        person.press("Enter")
        person.wait("!document.querySelector('#editor').open")
        assert [each["name"] for each in saved(browser)["providers"]] == ["Test pictures", "My own key"]


def test_the_example_recipe_is_loaded_and_makes_a_picture(tmp_path: Path, service: Service) -> None:
    granted: dict[str, Any] = {"permissions": ["storage", "alarms", "scripting"], "host_permissions": EVERYWHERE}
    with (
        running_chromium(tmp_path / "browser", service.url(), **granted) as browser,
        page_user(browser, OPTIONS) as person,
    ):
        person.click("[data-kind=page]")
        person.type("#entry-name", "The studio")
        person.click("#editor-save")
        assert focused(person) == "setting-recipe"
        assert "required" in description(person, "setting-recipe")
        person.type("#setting-recipe", '{\n  "url": "x",\n}')
        person.click("#editor-save")
        assert "line 3" in person.wait_for_text("#setting-recipe-problem", "JSON")
        person.type("#setting-recipe", '{"url": "https://pictures.example"}')
        person.click("#editor-save")
        person.wait("!/JSON/.test(document.querySelector('#setting-recipe-problem').innerText)")
        assert person.evaluate("document.querySelector('#editor').open")

        person.click("#editor-fields .field-actions button:last-child")
        assert "/extension/demo" in person.evaluate("document.querySelector('#setting-recipe').value")
        person.click("#editor-save")
        person.wait_for_text("#providers-message", "saved")
        recipe = saved(browser)["providers"][0]["settings"]["recipe"]
        assert recipe["url"] == service.url("/extension/demo")

        person.choose("#trial-provider", saved(browser)["providers"][0]["id"])
        person.click("#trial-start")
        person.wait("document.querySelector('#trial-message').dataset.tone", 60)
        assert person.text("#trial-message") == "Done."
        assert person.evaluate("document.querySelector('#trial-picture').naturalWidth") == 512


def test_unsaved_input_is_not_discarded_by_a_single_key(person: PageUser) -> None:
    person.click("[data-entry=canvas] [data-act=edit]")
    person.type("#entry-name", "Renamed")
    person.press("Escape")
    person.wait_for_text("#editor-message", "not saved")
    assert person.evaluate("document.querySelector('#editor').open")
    person.press("Escape")
    person.wait("!document.querySelector('#editor').open")
    assert "Renamed" not in person.text("#provider-list")


def test_a_provider_without_host_permission_shows_that(tmp_path: Path) -> None:
    with running_chromium(tmp_path / "browser", "") as browser:
        browser.save(providers=[{**CANVAS, "kind": "openai", "settings": {"address": "https://api.example/v1"}}])
        with page_user(browser, OPTIONS) as person:
            assert "https://api.example" in person.wait_for_text("[data-entry=canvas] .note", "not allowed")
            assert person.names("button").count("Allow Test pictures") == 1


def test_a_provider_that_gets_no_jobs_shows_that(browser: Chromium, person: PageUser) -> None:
    browser.save(providers=[CANVAS, {**CANVAS, "id": "second", "name": "Second"}])
    assert "Test pictures" in person.wait_for_text("[data-entry=second] .note", "gets no jobs")


def test_settings_are_exported_without_secrets_and_imported(browser: Chromium, person: PageUser, tmp_path: Path) -> None:
    with_key = {
        **CANVAS,
        "id": "o",
        "kind": "openai",
        "settings": {"address": "http://127.0.0.1:9", "key": "sk-secret"},
    }
    browser.save(server="https://pictures.example", token="t-secret", concurrency=5, providers=[with_key])
    browser.pipe.call("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)})
    file = tmp_path / "imagefleet-settings.json"
    person.click("#export")
    person.wait_for_text("#backup-message", "downloads")
    text = content_of(file)
    assert "secret" not in text

    browser.save(concurrency=1, providers=[CANVAS])
    import_file(person, file)
    person.wait_for_text("#backup-message", "Imported")
    settings = saved(browser)
    assert (settings["concurrency"], settings["token"]) == (5, "t-secret")
    assert settings["providers"] == [{**with_key, "settings": {"address": "http://127.0.0.1:9"}}]

    file.write_text("{}")
    import_file(person, file)
    person.wait_for_text("#backup-message", "does not contain settings")


def content_of(file: Path) -> str:
    until(lambda: file.exists() and file.read_text().endswith("}\n"), what="the file")
    return file.read_text()


def import_file(person: PageUser, file: Path) -> None:
    """Choose a file as in the browser's file dialog."""
    person.evaluate("HTMLInputElement.prototype.click = function () { this.id = 'picker'; document.body.append(this); }; 0")
    person.click("#import")
    person.wait("!!document.querySelector('#picker')")
    root = person.page.call("DOM.getDocument")["root"]["nodeId"]
    node = person.page.call("DOM.querySelector", nodeId=root, selector="#picker")["nodeId"]
    person.page.call("DOM.setFileInputFiles", nodeId=node, files=[str(file)])
    person.evaluate("document.querySelector('#picker').remove()")
