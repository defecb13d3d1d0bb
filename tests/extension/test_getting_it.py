"""From the server's page to a first picture, as a person does it: download, unzip, load."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.chromium import Chromium, Page, running_chromium
from tests.support.service import Service
from tests.support.waiting import until

ZIP = "imagefleet-extension.zip"
WIDTHS = (320, 480, 800, 1280)


@pytest.fixture
def visitor(tmp_path: Path) -> Iterator[Chromium]:
    """A browser to look at the server's pages with."""
    with running_chromium(tmp_path / "visitor") as browser:
        yield browser


def fits(page: Page, width: int) -> bool:
    page.call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
    return bool(page.evaluate("document.documentElement.scrollWidth <= innerWidth"))


def test_the_page_is_styled_and_fits_every_screen(service: Service, visitor: Chromium) -> None:
    with visitor.open(service.url("/extension")) as page:
        assert page.evaluate("getComputedStyle(document.querySelector('.button')).display") == "inline-block"
        assert [width for width in WIDTHS if not fits(page, width)] == []
        page.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark"}])
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 23, 27)"


def test_what_the_page_gives_away_is_loaded_and_works_at_once(
    service: Service, visitor: Chromium, tmp_path: Path
) -> None:
    downloads, folder = tmp_path / "downloads", tmp_path / "imagefleet-extension"
    visitor.pipe.call("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(downloads)})
    with visitor.open(service.url("/extension")) as page:
        said = page.evaluate("document.body.innerText")
        page.evaluate("document.querySelector('a[download]').click()")
        until((downloads / ZIP).exists, 20, "the download")
    with zipfile.ZipFile(downloads / ZIP) as packed:
        packed.extractall(folder)

    browser = Chromium(tmp_path / "browser", folder)
    (tmp_path / "browser").mkdir()
    try:
        browser.start()
        assert browser.extension_id in said
        browser.until_status("status.state === 'connected'")
        result = service.final(
            service.submit("a lighthouse", model="from-the-zip", parameters={"width": 96, "height": 64})
        )
        assert (result["status"], result["images"][0]["width"], result["images"][0]["height"]) == ("completed", 96, 64)
        browser.until_status("status.today.done === 1 && status.unsent === 0")
    finally:
        browser.close()
