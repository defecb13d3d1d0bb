"""Draws a landscape from a prompt: a sky, a sun, drifting discs, and hills one behind the other.

The same prompt, size, index and seed give the same picture. A row is three planes of bytes (red, green, blue);
layers are blended in with lookup tables, so that no Python code runs per pixel.
"""

from __future__ import annotations

import colorsys
import hashlib
import math
import random
from bisect import insort
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from imagefleet.extension.png import encode_png
from imagefleet.extension.variation import Inputs, Underlay

MAX_SIDE_PX = 8192
HILLS = 4
DISCS = 7
Colour = tuple[int, int, int]
Span = tuple[int, int]
ReportProgress = Callable[[float], None]


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


@dataclass(frozen=True, slots=True)
class Layer:
    """A shape in one translucent colour: the spans that it covers of each row, and how it changes each channel."""

    spans: Callable[[int], list[Span]]
    tables: tuple[bytes, bytes, bytes]


def draw(picture: Picture, report: ReportProgress = lambda _: None) -> bytes:
    """The picture as PNG. `report` is called with the share drawn so far, 0 to 1; it may raise to stop the work."""
    scene = _Scene(picture)
    if picture.inputs is None:
        rows = scene.rows()
    else:
        rows = scene.rows_over(Underlay(picture.inputs, picture.width, picture.height))
    return encode_png(picture.width, picture.height, _with_progress(rows, picture.height, report))


def _with_progress(rows: Iterator[bytes], height: int, report: ReportProgress) -> Iterator[bytes]:
    for number, row in enumerate(rows):
        if number % 32 == 0:
            report(number / height)
        yield row


class _Scene:
    """Makes all random choices first, then draws row by row."""

    def __init__(self, picture: Picture) -> None:
        self.width, self.height = picture.width, picture.height
        chosen = "" if picture.seed is None else f"\0{picture.seed}"
        source = f"{picture.index}\0{picture.prompt}{chosen}".encode("utf-8", "surrogatepass")
        self.randomness = random.Random(hashlib.sha256(source).digest())
        self.hue = self.randomness.random()
        self.slant = self.randomness.uniform(-0.4, 0.4) * self.width / self.height
        self.sky = self._sky()
        self.layers = [*self._sun(), *self._discs(), *self._hills()]

    def rows(self) -> Iterator[bytes]:
        """The rows from the top, three bytes a pixel."""
        for y in range(self.height):
            planes = self._sky_row(y)
            _blend(planes, self.layers, y)
            yield _interleaved(planes)

    def rows_over(self, below: Underlay) -> Iterator[bytes]:
        """The same over other pictures, in place of the sky."""
        layers = [_weakened(layer, below.strength) for layer in self.layers]
        for y in range(self.height):
            planes = below.row(y)
            original = [bytes(plane) for plane in planes]
            _blend(planes, layers, y)
            below.restore(y, planes, original)
            yield _interleaved(planes)

    def colour(self, turn: float, saturation: float, lightness: float) -> Colour:
        """A colour `turn` turns of the wheel away from the scene's own."""
        red, green, blue = colorsys.hls_to_rgb((self.hue + turn) % 1.0, lightness, saturation)
        return round(red * 255), round(green * 255), round(blue * 255)

    def _sky(self) -> tuple[bytes, bytes, bytes]:
        """Each channel of one long gradient; the rows are windows into it that move on from row to row."""
        turn = self.randomness.choice((0.08, -0.08, 0.14, -0.14))
        top, middle = self.colour(0.0, 0.55, 0.24), self.colour(turn, 0.6, 0.52)
        bottom = self.colour(2 * turn, 0.85, 0.82)
        length = self.height + int(abs(self.slant) * self.height) + self.width
        half = length // 2
        channels = [
            _ramp(top[channel], middle[channel], half) + _ramp(middle[channel], bottom[channel], length - half)
            for channel in range(3)
        ]
        return channels[0], channels[1], channels[2]

    def _sky_row(self, y: int) -> list[bytearray]:
        start = y + int(abs(self.slant) * y)
        window = slice(start, start + self.width)
        planes = [bytearray(channel[window]) for channel in self.sky]
        if self.slant < 0:
            for plane in planes:
                plane.reverse()
        return planes

    def _sun(self) -> Iterator[Layer]:
        x, y = self.randomness.uniform(0.2, 0.8) * self.width, self.randomness.uniform(0.18, 0.45) * self.height
        radius = self.randomness.uniform(0.07, 0.12) * min(self.width, self.height)
        glow, light = self.colour(0.5, 0.9, 0.85), self.colour(0.5, 0.95, 0.93)
        for wider in (4.2, 3.3, 2.6, 2.0, 1.5):
            yield _layer(_disc(x, y, radius * wider, self.width), glow, 0.09)
        yield from _soft_disc(x, y, radius, self.width, light, 0.92)

    def _discs(self) -> Iterator[Layer]:
        for _ in range(DISCS):
            x, y = self.randomness.uniform(0, 1) * self.width, self.randomness.uniform(0, 0.8) * self.height
            radius = self.randomness.uniform(0.015, 0.09) * min(self.width, self.height)
            colour = self.colour(self.randomness.uniform(-0.2, 0.2), 0.7, self.randomness.uniform(0.55, 0.9))
            yield from _soft_disc(x, y, radius, self.width, colour, self.randomness.uniform(0.12, 0.35))

    def _hills(self) -> Iterator[Layer]:
        for number in range(HILLS):
            depth = number / (HILLS - 1)
            ridge = self._ridge(0.56 + 0.3 * depth, 0.09 - 0.02 * depth)
            colour = self.colour(0.55 + 0.06 * number, 0.42, 0.42 - 0.3 * depth)
            yield _layer(_below(ridge, self.width, self.height), colour, 0.72 + 0.25 * depth)

    def _ridge(self, level: float, swing: float) -> list[int]:
        """The row at which a hill begins, for each column."""
        waves = [
            (2 * math.pi * n * self.randomness.uniform(0.6, 1.2), self.randomness.uniform(0, 7), 1 / n)
            for n in (1, 2, 5, 11)
        ]
        ridge = []
        for x in range(self.width):
            at = x / self.width
            rise = sum(share * math.sin(turns * at + phase) for turns, phase, share in waves)
            ridge.append(max(0, min(self.height, round((level + swing * rise) * self.height))))
        return ridge


def _blend(planes: list[bytearray], layers: list[Layer], y: int) -> None:
    for layer in layers:
        for start, end in layer.spans(y):
            for plane, table in zip(planes, layer.tables, strict=True):
                plane[start:end] = plane[start:end].translate(table)


def _interleaved(planes: list[bytearray]) -> bytes:
    pixels = bytearray(3 * len(planes[0]))
    for channel, plane in enumerate(planes):
        pixels[channel::3] = plane
    return bytes(pixels)


def _weakened(layer: Layer, share: float) -> Layer:
    red, green, blue = (
        bytes(round(below + (above - below) * share) for below, above in enumerate(table)) for table in layer.tables
    )
    return Layer(layer.spans, (red, green, blue))


def _ramp(start: int, end: int, length: int) -> bytes:
    return bytes(start + (end - start) * at // max(1, length) for at in range(length))


def _layer(spans: Callable[[int], list[Span]], colour: Colour, cover: float) -> Layer:
    """`cover` is 0 for invisible to 1 for opaque."""
    red, green, blue = (_blending(channel, cover) for channel in colour)
    return Layer(spans, (red, green, blue))


def _blending(channel: int, cover: float) -> bytes:
    return bytes(round(below + (channel - below) * cover) for below in range(256))


def _soft_disc(x: float, y: float, radius: float, width: int, colour: Colour, cover: float) -> Iterator[Layer]:
    """Two discs, one over the other: their edges make a step of half the contrast, which looks smooth."""
    part = 1 - math.sqrt(1 - cover)
    yield _layer(_disc(x, y, radius + 0.6, width), colour, part)
    yield _layer(_disc(x, y, radius, width), colour, part)


def _disc(x: float, y: float, radius: float, width: int) -> Callable[[int], list[Span]]:
    def spans(row: int) -> list[Span]:
        rest = radius * radius - (row + 0.5 - y) ** 2
        if rest <= 0:
            return []
        reach = math.sqrt(rest)
        start, end = max(0, round(x - reach)), min(width, round(x + reach))
        return [(start, end)] if start < end else []

    return spans


def _below(ridge: list[int], width: int, height: int) -> Callable[[int], list[Span]]:
    """Everything under a ridge. Where a row enters and leaves the hill is kept from row to row, instead of searched again."""
    starts: list[list[int]] = [[] for _ in range(height + 1)]
    for x, top in enumerate(ridge):
        starts[top].append(x)
    covered: list[Span] = []

    def spans(row: int) -> list[Span]:
        for x in starts[row]:
            insort(covered, (x, x + 1))
        covered[:] = _joined(covered)
        return list(covered)

    return spans


def _joined(spans: list[Span]) -> list[Span]:
    joined: list[Span] = []
    for start, end in spans:
        if joined and joined[-1][1] >= start:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
    return joined
