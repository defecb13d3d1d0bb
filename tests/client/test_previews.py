"""Which previews the reference extension makes of a picture that is being drawn."""

from __future__ import annotations

import base64
import io

from PIL import Image

from imagefleet.extension.previews import Previews

WIDE = Image.new("RGB", (2048, 1024), "red")


def test_previews_are_spread_over_the_time_and_more_than_a_second_apart() -> None:
    now = [0.0]
    previews = Previews(3, 2, lambda: now[0])
    made = []
    for share, at in ((0.1, 0), (0.25, 1), (0.5, 1.5), (0.5, 3), (0.6, 5), (0.75, 7), (0.9, 9)):
        now[0] = at
        made.append(previews.of(share, WIDE))
    assert [each is not None for each in made] == [False, True, False, True, False, True, False]
    assert made[1] is not None
    assert (made[1]["mimeType"], made[1]["position"]) == ("image/webp", 2)
    assert Image.open(io.BytesIO(base64.b64decode(made[1]["data"]))).size == (512, 256)


def test_there_are_none_unless_they_are_wanted_and_there_is_a_picture() -> None:
    assert Previews(0, 0).of(0.9, WIDE) is None
    assert Previews(1, 0).of(0.9, None) is None
    noise = Image.effect_noise((512, 512), 250)
    assert Previews(1, 0).of(0.9, Image.merge("RGB", (noise, noise.rotate(90), noise.rotate(180)))) is None
