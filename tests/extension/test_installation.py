"""From the server's page to a first picture, as a user does it: download, unzip, load, pair."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.chromium import Chromium, Page, running_chromium
from tests.support.management import manage
from tests.support.service import Service, call, running_service
from tests.support.waiting import until

ZIP = "imagefleet-extension.zip"
WIDTHS = (320, 480, 800, 1280)
TIMEOUT_S = 60.0


@pytest.fixture
def visitor(tmp_path: Path) -> Iterator[Chromium]:
    """A browser that visits the server's pages."""
    with running_chromium(tmp_path / "visitor") as browser:
        yield browser


@contextmanager
def loaded(extension: Path, folder: Path) -> Iterator[Chromium]:
    """A new browser with the extension from this folder."""
    folder.mkdir()
    browser = Chromium(folder, extension)
    try:
        browser.start()
        yield browser
    finally:
        browser.close()


def unzipped(archive: Path, folder: Path) -> Path:
    with zipfile.ZipFile(archive) as archive_file:
        archive_file.extractall(folder)
    return folder


def fits(page: Page, width: int) -> bool:
    page.call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
    return bool(page.evaluate("document.documentElement.scrollWidth <= innerWidth"))


def test_the_page_is_styled_and_fits_every_screen(service: Service, visitor: Chromium) -> None:
    with visitor.open(service.url("/extension")) as page:
        assert page.evaluate("getComputedStyle(document.querySelector('.button')).display") == "inline-block"
        assert [width for width in WIDTHS if not fits(page, width)] == []
        page.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark"}])
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 23, 27)"


def test_the_downloaded_extension_connects_and_works_at_once(
    service: Service, visitor: Chromium, tmp_path: Path
) -> None:
    downloads = tmp_path / "downloads"
    visitor.pipe.call("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(downloads)})
    with visitor.open(service.url("/extension")) as page:
        text = page.evaluate("document.body.innerText")
        page.evaluate("document.querySelector('a[download]').click()")
        until((downloads / ZIP).exists, TIMEOUT_S, "the download")

    with loaded(unzipped(downloads / ZIP, tmp_path / "imagefleet-extension"), tmp_path / "browser") as browser:
        assert browser.extension_id in text
        browser.until_status("status.state === 'connected'", TIMEOUT_S)
        request_id = service.submit("a lighthouse", model="from-the-zip", parameters={"width": 96, "height": 64})
        result = service.final(request_id, TIMEOUT_S)
        assert (result["status"], result["images"][0]["width"], result["images"][0]["height"]) == ("completed", 96, 64)
        browser.until_status("status.today.done === 1 && status.unsent === 0", TIMEOUT_S)


def test_if_a_token_is_required_pasting_the_pairing_code_is_enough(guarded: Service, tmp_path: Path) -> None:
    manage(guarded, "create-user", "bea")
    key = {"Authorization": f"Bearer {manage(guarded, 'create-key', 'bea')}"}
    code = manage(guarded, "create-extension-token", "bea-laptop", "--pairing", "--server", guarded.url())
    (tmp_path / ZIP).write_bytes(guarded.get(f"/extension/{ZIP}").content)

    with loaded(unzipped(tmp_path / ZIP, tmp_path / "imagefleet-extension"), tmp_path / "browser") as browser:
        browser.until_status("status.state === 'refused'", TIMEOUT_S)
        with browser.open("pages/options.html") as page:
            page.evaluate(f"""
                const field = document.querySelector("#pairing");
                field.value = {json.dumps(code)};
                field.dispatchEvent(new Event("input", {{bubbles: true}}));
                document.querySelector("#connect").click();
            """)
            browser.until_status("status.state === 'connected'", TIMEOUT_S)
        request_id = call("POST", guarded.url("/api/images/generate"), {"prompt": "a lighthouse"}, key).json[
            "requestId"
        ]
        browser.until_status("status.today.done === 1 && status.unsent === 0", TIMEOUT_S)
        assert call("GET", guarded.url(f"/api/images/{request_id}"), headers=key).json["status"] == "completed"
