"""The Chrome Web Store listing: the sizes of its pictures, and texts that match the manifest."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from PIL import Image

from app.web import openapi
from tests.support.chromium import EXTENSION

STORE = EXTENSION / "store"
LISTING = (STORE / "listing.md").read_text("utf-8")
MANIFEST = json.loads((EXTENSION / "manifest.json").read_text("utf-8"))


def section(title: str) -> str:
    """The text below a heading."""
    found = re.search(rf"^## {title}\n+(.*?)(?=^## |\Z)", LISTING, re.MULTILINE | re.DOTALL)
    assert found, title
    return found[1].strip()


@pytest.mark.parametrize("size", [16, 32, 48, 128])
def test_there_is_an_icon_of_each_size(size: int) -> None:
    picture = Image.open(EXTENSION / "icons" / f"icon{size}.png")
    assert (picture.size, picture.mode) == ((size, size), "RGBA")
    assert picture.getchannel("A").getextrema() == (0, 255), "its corners are transparent"


def test_the_pictures_have_the_sizes_that_the_store_accepts() -> None:
    screenshots = sorted(STORE.glob("[0-9]-*.png"))
    assert 1 <= len(screenshots) <= 5
    for path, size in [*((each, (1280, 800)) for each in screenshots), (STORE / "promo-440x280.png", (440, 280))]:
        picture = Image.open(path)
        assert (picture.size, picture.mode) == (size, "RGB"), path.name
        assert path.stat().st_size < 250_000, path.name


def test_name_and_short_description_match_the_manifest_and_fit() -> None:
    assert section("Name") == MANIFEST["name"]
    assert section("Short description") == MANIFEST["description"]
    assert len(MANIFEST["description"]) <= 132


def test_exactly_the_permissions_of_the_manifest_are_explained() -> None:
    explained = set(
        re.findall(r"^\*\*(\w+)(?:, optional)?\*\*:", section("Why each permission is needed"), re.MULTILINE)
    )
    assert explained == {*MANIFEST["permissions"], *MANIFEST["optional_permissions"]}
    assert all(pattern in LISTING for pattern in MANIFEST["optional_host_permissions"])


def test_the_versions_of_the_extension_and_of_the_api_are_equal() -> None:
    assert MANIFEST["version"] == openapi.INFO["version"]


def test_the_pages_and_icons_of_the_manifest_exist() -> None:
    named = [MANIFEST["action"]["default_popup"], MANIFEST["options_ui"]["page"], *MANIFEST["icons"].values()]
    named += MANIFEST["action"].get("default_icon", {}).values()
    assert [name for name in named if not (EXTENSION / Path(name)).is_file()] == []
