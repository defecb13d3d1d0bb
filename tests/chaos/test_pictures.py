"""Pictures contain their origin."""

from __future__ import annotations

import pytest

from tests.chaos import pictures
from tests.chaos.pictures import Stamp


@pytest.mark.parametrize("stamp", [Stamp(0, 0, 0, 0, 0), Stamp(65_535, 255, 65_535, 9, 300)])
def test_a_stamp_can_be_read_back(stamp: Stamp) -> None:
    assert pictures.read(pictures.draw(stamp)) == stamp


def test_a_broken_picture_has_no_stamp() -> None:
    whole = pictures.draw(Stamp(1, 2, 3, 4))
    assert pictures.read(whole[: len(whole) // 2]) is None
    assert pictures.read(b"") is None
