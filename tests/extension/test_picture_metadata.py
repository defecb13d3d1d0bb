"""Pictures lose their texts before they leave the browser, and keep their pixels and colours."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageCms, PngImagePlugin

from tests.support.chromium import EXTENSION
from tests.support.fake_generators import generated_image
from tests.support.node import node

SECRET = "the whole workflow, with a prompt and settings"
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
MODULE = (EXTENSION / "providers" / "picture_metadata.js").as_uri()
SIZES = (EXTENSION / "providers" / "picture_size.js").as_uri()
DESCRIPTION = 0x010E


def exif() -> Image.Exif:
    tags = Image.Exif()
    tags[DESCRIPTION] = SECRET
    return tags


def png_texts() -> PngImagePlugin.PngInfo:
    texts = PngImagePlugin.PngInfo()
    texts.add_text("workflow", SECRET)
    texts.add_text("prompt", SECRET, zip=True)
    texts.add_itxt("parameters", SECRET)
    return texts


FORMATS: dict[str, dict[str, Any]] = {
    "PNG": {"pnginfo": png_texts(), "exif": exif()},
    "JPEG": {"comment": SECRET, "exif": exif(), "progressive": True},
    "WEBP": {"xmp": SECRET.encode(), "exif": exif(), "lossless": True},
}


def stripped(content: bytes, mime: str, folder: Path) -> bytes:
    """The file as the extension uploads it."""
    given, taken = folder / "given", folder / "taken"
    given.write_bytes(content)
    script = (
        f"const {{ withoutMetadata }} = await import({json.dumps(MODULE)});"
        "const { readFileSync, writeFileSync } = await import('node:fs');"
        f"const bytes = new Uint8Array(readFileSync({json.dumps(str(given))}));"
        f"const blob = new Blob(withoutMetadata(bytes, {json.dumps(mime)}));"
        f"writeFileSync({json.dumps(str(taken))}, Buffer.from(await blob.arrayBuffer()));"
    )
    done = node("--input-type=module", "--eval", script)
    assert done.returncode == 0, done.stdout
    return taken.read_bytes()


@pytest.mark.parametrize("kind", FORMATS)
def test_texts_are_removed_and_pixels_and_colours_stay(kind: str, tmp_path: Path) -> None:
    drawn = generated_image(40, 24)
    stream = io.BytesIO()
    drawn.save(stream, kind, icc_profile=PROFILE, **FORMATS[kind])
    content = stream.getvalue()
    assert SECRET.encode() in content

    left = stripped(content, f"image/{kind.lower()}", tmp_path)

    assert SECRET.encode() not in left
    before, after = Image.open(io.BytesIO(content)), Image.open(io.BytesIO(left))
    assert after.tobytes() == before.tobytes()
    assert after.info["icc_profile"] == PROFILE
    assert not set(after.info) & {"workflow", "prompt", "parameters", "exif", "xmp", "comment"}
    assert not after.getexif()


@pytest.mark.parametrize("kind", [*FORMATS, "WEBP with an extended header", "WEBP with losses"])
def test_the_size_is_read_from_the_file(kind: str, tmp_path: Path) -> None:
    options: dict[str, Any] = {"WEBP with an extended header": {"icc_profile": PROFILE}, "WEBP": {"lossless": True}}
    path = tmp_path / "picture"
    generated_image(321, 123).save(path, kind.split()[0], **options.get(kind, {}))
    script = (
        f"const {{ pictureSize }} = await import({json.dumps(SIZES)});"
        "const { readFileSync } = await import('node:fs');"
        f"console.log(JSON.stringify(await pictureSize(new Blob([readFileSync({json.dumps(str(path))})]))));"
    )
    done = node("--input-type=module", "--eval", script)
    assert json.loads(done.stdout) == {"width": 321, "height": 123}


@pytest.mark.parametrize("kind", FORMATS)
def test_a_broken_file_is_not_made_longer(kind: str, tmp_path: Path) -> None:
    stream = io.BytesIO()
    generated_image(40, 24).save(stream, kind)
    broken = stream.getvalue()[:60]

    assert len(stripped(broken, f"image/{kind.lower()}", tmp_path)) <= len(broken)
