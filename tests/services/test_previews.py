"""Previews of pictures that are being made: what is accepted, what becomes of it, and who may see it."""

from __future__ import annotations

import base64
import io
from typing import Any

import pytest
from PIL import Image

from app.domain.errors import NotFound
from app.domain.images import BadImage
from app.domain.previews import MAX_BYTES
from tests.support import image_samples
from tests.support.fakes import Bench
from tests.support.harness import Harness
from tests.support.pictures import noise, plain

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def harness(bench: Bench) -> Harness:
    return Harness.of(bench)


def in_base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


@pytest.mark.parametrize(("kind", "mime_type"), [("JPEG", "image/webp"), ("WEBP", "image/webp"), ("PNG", "image/png")])
def test_a_preview_is_kept_cleaned_and_small(harness: Harness, kind: str, mime_type: str) -> None:
    _, job = harness.connect_and_start()
    harness.services.previews.receive(job.id, 1, 40, in_base64(plain("red", (1024, 1024), kind)))
    found = harness.services.previews.latest(job.id, 1)
    shown = Image.open(io.BytesIO(base64.b64decode(found.data))).convert("RGB")
    assert (found.mime_type, found.progress, shown.size) == (mime_type, 40, (1024, 1024))
    assert shown.getpixel((9, 9))[0] > 250
    assert len(found.data) < MAX_BYTES


def test_metadata_of_a_preview_are_not_shown(harness: Harness) -> None:
    _, job = harness.connect_and_start()
    harness.services.previews.receive(job.id, 0, 40, in_base64(image_samples.rotated_by_exif("JPEG")))
    shown = Image.open(io.BytesIO(base64.b64decode(harness.services.previews.latest(job.id, 0).data)))
    assert not shown.getexif()


BAD = {
    "nothing": "",
    "no base64": "not base64",
    "a data URL": "data:image/png;base64," + in_base64(plain()),
    "a text": in_base64(b"hello"),
    "an SVG": in_base64(b'<svg xmlns="http://www.w3.org/2000/svg"/>'),
    "a GIF": in_base64(plain(kind="GIF")),
    "half a PNG": in_base64(plain()[:-20]),
    "a wide one": in_base64(plain(size=(1025, 1))),
    "a bomb": in_base64(image_samples.webp_claiming(16_000, 16_000)),
    "an animation": in_base64(image_samples.animated("WEBP")),
    "a large one": in_base64(noise(200, 200)),
}


@pytest.mark.parametrize("data", BAD.values(), ids=list(BAD))
def test_what_is_no_small_picture_is_refused_and_changes_nothing(harness: Harness, bench: Bench, data: str) -> None:
    _, job = harness.connect_and_start()
    with pytest.raises(BadImage):
        harness.services.previews.receive(job.id, 0, 40, data)
    assert bench.bus.previews == {}
    assert harness.reload(job) == job
    assert bench.files() == []


def test_a_preview_is_seen_by_its_owner_and_only_while_the_picture_is_made(harness: Harness) -> None:
    _, job = harness.connect_and_start()
    harness.services.previews.receive(job.id, 0, 40, in_base64(plain()))
    previews = harness.services.previews
    assert previews.latest(job.id, 0, "ann") == previews.latest(job.id, 0)
    for request_id, position, owner in ((job.id, 1, None), (job.id, 0, "ben"), ("unknown", 0, None)):
        with pytest.raises(NotFound):
            previews.latest(request_id, position, owner)
    harness.services.cancellation.cancel(job.id)
    with pytest.raises(NotFound):
        previews.latest(job.id, 0)


@pytest.mark.parametrize(
    ("settings", "wanted", "asked"),
    [
        ({}, 0, None),
        ({}, 2, 2),
        ({"previews": True}, 0, 10),
        ({"previews": True}, 2, 10),
        ({"previews": True, "max_message_bytes": 100_000}, 2, None),
    ],
)
def test_extensions_are_asked_for_previews_if_somebody_wants_them(
    bench: Bench, settings: dict[str, Any], wanted: int, asked: int | None
) -> None:
    harness = Harness.of(bench.with_settings(**settings))
    harness.connect()
    harness.submit(previews=wanted)
    harness.assign()
    [offer] = bench.bus.sent("generate_image")
    assert offer.get("previews") == asked
