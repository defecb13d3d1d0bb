"""The memory that the validation of an image may take."""

from __future__ import annotations

import io
import resource
from pathlib import Path

import pytest

from app.adapters import pictures
from app.adapters.pictures import PillowValidator
from app.domain.images import ImageLimits, Picture
from tests.support.image_samples import png

MIB = 2**20


def mapped_bytes() -> int:
    """The mapped memory of this process according to Linux."""
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


@pytest.mark.parametrize(("max_pixels", "expected_mib"), [(2**20, 16 + 128), (40 * 2**20, 640 + 128)])
def test_the_memory_limit_follows_the_maximum_number_of_pixels(
    monkeypatch: pytest.MonkeyPatch, max_pixels: int, expected_mib: int
) -> None:
    limits_mib: list[float] = []

    def record_limit(*_parts: object) -> Picture:
        limit, _ = resource.getrlimit(resource.RLIMIT_AS)
        limits_mib.append((limit - mapped_bytes()) / MIB)
        return Picture(1, 1, 1, "")

    before = resource.getrlimit(resource.RLIMIT_AS)
    monkeypatch.setattr(pictures, "check_and_store_as_png", record_limit)
    PillowValidator()(io.BytesIO(), io.BytesIO(), ImageLimits(MIB, max_pixels))
    assert limits_mib == [pytest.approx(expected_mib, abs=8)]
    assert resource.getrlimit(resource.RLIMIT_AS) == before


def test_a_valid_image_is_validated_within_the_limit() -> None:
    picture = PillowValidator()(io.BytesIO(png(8, 8)), io.BytesIO(), ImageLimits(MIB, 64))
    assert (picture.width, picture.height) == (8, 8)
