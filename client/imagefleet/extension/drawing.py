"""Draws a landscape from a prompt: a sky, a sun, drifting discs, and hills one behind the other.

The same prompt, size, index and seed give the same picture.
"""

from __future__ import annotations

import colorsys
import hashlib
import io
import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from PIL import Image, ImageDraw

from imagefleet.extension.variation import Inputs, Underlay

HILLS = 4
DISCS = 7
# A ridge is a line through this many points.
RIDGE_POINTS = 256
# From 1, quick, to 9, small.
COMPRESSION = 4
Colour = tuple[int, int, int]
Layer = Callable[[ImageDraw.ImageDraw], None]


class ReportProgress(Protocol):
    """Is told how much of a picture is drawn, and what there is of it by now."""

    def __call__(self, share: float, image: Image.Image | None = None, /) -> None:
        """`share` is from 0 to 1. The image may be copied before this returns. It may raise to stop the work."""


@dataclass(frozen=True, slots=True)
class Picture:
    """What to draw. Sizes in px; `index` is the number of the picture within its request, `seed` the requested one.

    With `inputs` it is drawn over other pictures, as opaque as their strength says.
    """

    prompt: str
    width: int
    height: int
    index: int = 0
    seed: int | None = None
    inputs: Inputs | None = None


def draw(picture: Picture, report: ReportProgress = lambda *_: None) -> bytes:
    """The picture as PNG.

    Raises UnreadablePicture if an input picture is none.
    """
    report(0.0)
    scene = _Scene(picture)
    if picture.inputs is None:
        image = scene.painted(scene.sky(), report)
    else:
        below = Underlay(picture.inputs, picture.width, picture.height)
        image = below.covered_by(scene.painted(below.image.copy(), report))
    content = io.BytesIO()
    image.save(content, "PNG", compress_level=COMPRESSION)
    return content.getvalue()


class _Scene:
    """Makes all random choices first; then the layers are drawn one over the other."""

    def __init__(self, picture: Picture) -> None:
        self.width, self.height = picture.width, picture.height
        chosen = "" if picture.seed is None else f"\0{picture.seed}"
        source = f"{picture.index}\0{picture.prompt}{chosen}".encode("utf-8", "surrogatepass")
        self.randomness = random.Random(hashlib.sha256(source).digest())
        self.hue = self.randomness.random()
        self.slant = self.randomness.uniform(-0.4, 0.4) * self.width / self.height
        self.turn = self.randomness.choice((0.08, -0.08, 0.14, -0.14))
        self.layers = [*self._sun(), *self._discs(), *self._hills()]

    def painted(self, image: Image.Image, report: ReportProgress) -> Image.Image:
        """The image with all layers drawn over it."""
        brush = ImageDraw.Draw(image, "RGBA")
        for number, layer in enumerate(self.layers):
            report(number / len(self.layers), image)
            layer(brush)
        return image

    def sky(self) -> Image.Image:
        """A slanted gradient of three colours."""
        colours = (
            self.colour(0.0, 0.55, 0.24),
            self.colour(self.turn, 0.6, 0.52),
            self.colour(2 * self.turn, 0.85, 0.82),
        )
        stops = Image.new("RGB", (len(colours), 1))
        stops.putdata(colours)
        drift = self.slant * self.height
        length = self.height + math.ceil(abs(drift)) + 1
        gradient = stops.resize((length, 1), Image.Resampling.BILINEAR)
        along_x = drift / self.width
        start = max(0.0, -drift)
        matrix = (along_x, 1.0, start, 0.0, 0.0, 0.0)
        return gradient.transform((self.width, self.height), Image.Transform.AFFINE, matrix)

    def colour(self, turn: float, saturation: float, lightness: float) -> Colour:
        """A colour `turn` turns of the wheel away from the scene's own."""
        red, green, blue = colorsys.hls_to_rgb((self.hue + turn) % 1.0, lightness, saturation)
        return round(red * 255), round(green * 255), round(blue * 255)

    def _sun(self) -> Iterator[Layer]:
        x, y = self.randomness.uniform(0.2, 0.8) * self.width, self.randomness.uniform(0.18, 0.45) * self.height
        radius = self.randomness.uniform(0.07, 0.12) * min(self.width, self.height)
        glow, light = self.colour(0.5, 0.9, 0.85), self.colour(0.5, 0.95, 0.93)
        for wider in (4.2, 3.3, 2.6, 2.0, 1.5):
            yield _disc(x, y, radius * wider, glow, 0.09)
        yield from _soft_disc(x, y, radius, light, 0.92)

    def _discs(self) -> Iterator[Layer]:
        for _ in range(DISCS):
            x, y = self.randomness.uniform(0, 1) * self.width, self.randomness.uniform(0, 0.8) * self.height
            radius = self.randomness.uniform(0.015, 0.09) * min(self.width, self.height)
            colour = self.colour(self.randomness.uniform(-0.2, 0.2), 0.7, self.randomness.uniform(0.55, 0.9))
            yield from _soft_disc(x, y, radius, colour, self.randomness.uniform(0.12, 0.35))

    def _hills(self) -> Iterator[Layer]:
        for number in range(HILLS):
            depth = number / (HILLS - 1)
            ridge = self._ridge(0.56 + 0.3 * depth, 0.09 - 0.02 * depth)
            colour = self.colour(0.55 + 0.06 * number, 0.42, 0.42 - 0.3 * depth)
            yield _shape([*ridge, (self.width, self.height), (0, self.height)], colour, 0.72 + 0.25 * depth)

    def _ridge(self, level: float, swing: float) -> list[tuple[float, float]]:
        """The upper edge of a hill, from the left to the right."""
        waves = [
            (2 * math.pi * n * self.randomness.uniform(0.6, 1.2), self.randomness.uniform(0, 7), 1 / n)
            for n in (1, 2, 5, 11)
        ]
        points = min(self.width, RIDGE_POINTS)
        ridge = []
        for number in range(points + 1):
            at = number / points
            rise = sum(share * math.sin(turns * at + phase) for turns, phase, share in waves)
            ridge.append((at * self.width, (level + swing * rise) * self.height))
        return ridge


def _disc(x: float, y: float, radius: float, colour: Colour, cover: float) -> Layer:
    """`cover` is 0 for invisible to 1 for opaque."""
    box, fill = (x - radius, y - radius, x + radius, y + radius), (*colour, round(255 * cover))
    return lambda brush: brush.ellipse(box, fill=fill)


def _soft_disc(x: float, y: float, radius: float, colour: Colour, cover: float) -> Iterator[Layer]:
    """Two discs, one over the other: their edges make a step of half the contrast, which looks smooth."""
    part = 1 - math.sqrt(1 - cover)
    yield _disc(x, y, radius + 0.6, colour, part)
    yield _disc(x, y, radius, colour, part)


def _shape(corners: list[tuple[float, float]], colour: Colour, cover: float) -> Layer:
    fill = (*colour, round(255 * cover))
    return lambda brush: brush.polygon(corners, fill=fill)
