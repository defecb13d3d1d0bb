"""How much memory a picture may take while it is judged."""

from __future__ import annotations

import io
import resource
from pathlib import Path
from typing import BinaryIO

import pytest

from app.adapters import image_validator
from app.adapters.image_validator import PillowValidator
from app.domain.images import ImageLimits, Picture
from tests.support.hostile_images import png

MIB = 2**20


def mapped_bytes() -> int:
    """How much memory this process has mapped, as Linux counts it."""
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


@pytest.mark.parametrize(("max_pixels", "wanted_mib"), [(2**20, 16 + 128), (40 * 2**20, 640 + 128)])
def test_the_limit_follows_the_pixels_that_a_picture_may_have(
    monkeypatch: pytest.MonkeyPatch, max_pixels: int, wanted_mib: int
) -> None:
    room: list[float] = []

    def judge(source: BinaryIO, target: BinaryIO, limits: ImageLimits) -> Picture:
        ceiling, _ = resource.getrlimit(resource.RLIMIT_AS)
        room.append((ceiling - mapped_bytes()) / MIB)
        return Picture(1, 1, 1, "")

    before = resource.getrlimit(resource.RLIMIT_AS)
    monkeypatch.setattr(image_validator, "check_and_store_as_png", judge)
    PillowValidator()(io.BytesIO(), io.BytesIO(), ImageLimits(MIB, max_pixels))
    assert room == [pytest.approx(wanted_mib, abs=8)]
    assert resource.getrlimit(resource.RLIMIT_AS) == before


def test_a_sound_picture_is_judged_within_its_limit() -> None:
    picture = PillowValidator()(io.BytesIO(png(8, 8)), io.BytesIO(), ImageLimits(MIB, 64))
    assert (picture.width, picture.height) == (8, 8)
