"""The manifest as it is published, with every optional permission granted at run time, by a person who saves a generator."""

from __future__ import annotations

from pathlib import Path

from tests.support.chromium import running_chromium
from tests.support.fake_generators import FakeComfyUI, running_generator
from tests.support.page_user import page_user
from tests.support.service import Service

OPTIONS = "pages/options.html"
HERE = "http://127.0.0.1/*"
SIZE = {"width": 64, "height": 64}


def test_a_person_who_grants_every_permission_gets_pictures(tmp_path: Path, service: Service) -> None:
    comfyui_model, page_model = "granted-comfyui", "granted-page"
    with (
        running_generator(FakeComfyUI(allows_any_origin=False)) as comfyui,
        running_chromium(tmp_path / "browser", service.url()) as browser,
    ):
        browser.allow_at_run_time(HERE)
        granted = "JSON.stringify(await chrome.permissions.getAll())"
        assert HERE not in browser.evaluate(granted)
        with page_user(browser, OPTIONS) as person:
            person.click("[data-kind=comfyui]")
            person.type("#entry-models", comfyui_model)
            person.type("#setting-address", comfyui.url)
            person.evaluate("document.querySelector('#editor details').open = true")
            person.click("#setting-hideOrigin")
            person.click("#editor-save")
            person.wait_for_text("#providers-message", "saved")
            person.wait(f"{granted}.includes('{HERE}')")

            person.click("[data-kind=page]")
            person.type("#entry-models", page_model)
            person.click("#editor-fields .field-actions button:last-child")
            person.click("#editor-save")
            person.wait("!document.querySelector('#editor').open")
            person.wait(f"{granted}.includes('scripting')")
            person.wait("!document.querySelector('#provider-list .note[data-tone=warn]')")
        browser.until_status("status.state === 'connected' && status.providers.length === 0")

        for model in (comfyui_model, page_model):
            result = service.final(service.submit("a red fox", model=model, parameters=SIZE), 60)
            assert result["status"] == "completed", result
        assert not any("origin" in each.headers for each in comfyui.requests_to("/prompt"))
