"""The pictures of the reference extension, and their PNG files."""

from __future__ import annotations

import io
import time

import pytest
from PIL import Image

from imagefleet.extension.drawing import Picture, draw
from imagefleet.extension.jobs import Stopped


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


@pytest.mark.parametrize("size", [(1, 1), (16, 16), (640, 480), (480, 640), (2000, 3), (3, 2000)])
def test_every_size_is_a_picture_of_that_size(size: tuple[int, int]) -> None:
    picture = opened(draw(Picture("A fox", *size)))
    assert (picture.format, picture.mode, picture.size) == ("PNG", "RGB", size)


def test_the_same_request_gives_the_same_picture() -> None:
    assert draw(Picture("A fox", 64, 64)) == draw(Picture("A fox", 64, 64))


def test_different_prompts_and_positions_give_different_pictures() -> None:
    pictures = {
        draw(Picture(prompt, 64, 64, index)) for prompt in ("A fox", "a fox", "", "狐", "\ud800") for index in (0, 1)
    }
    assert len(pictures) == 10


def test_different_seeds_give_different_pictures() -> None:
    seeds = (None, 0, 1, 2**64 - 1)
    assert len({draw(Picture("A fox", 64, 64, seed=seed)) for seed in seeds}) == len(seeds)


def test_a_picture_has_many_colours() -> None:
    colours = opened(draw(Picture("A beautiful sunset over mountains", 256, 256))).getcolors(65_536)
    assert colours is not None
    assert len(colours) > 500


def test_a_large_picture_takes_well_under_a_second_of_the_processor() -> None:
    began = time.process_time()
    draw(Picture("A beautiful sunset over mountains", 1024, 1024))
    assert time.process_time() - began < 0.8


def test_progress_is_reported_and_the_callback_can_stop_the_drawing() -> None:
    shares: list[float] = []
    draw(Picture("A fox", 100, 100), lambda share, _=None: shares.append(share))
    assert shares == sorted(shares)
    assert (shares[0], len(shares) > 2, shares[-1] < 1) == (0.0, True, True)
    with pytest.raises(Stopped):
        draw(Picture("A fox", 100, 100), _stop)


def _stop(*_: object) -> None:
    raise Stopped
