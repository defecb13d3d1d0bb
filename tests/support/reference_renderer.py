"""A second implementation of the extension's built-in renderer, to compare its pictures with pixel by pixel."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

Colour = tuple[int, int, int]
Randomness = Callable[[int], int]
TURN = 1024
HALF = TURN // 2
WHEEL = 1536
HILLS = 5
DISCS = 9


@dataclass(frozen=True)
class Disc:
    """A translucent disc; at `cover` 256 it is opaque."""

    x: int
    y: int
    radius: int
    colour: Colour
    cover: int


@dataclass(frozen=True)
class Hill:
    """A hill: its upper edge in each column in units of 1/256 px, and its colours at the edge and at the foot."""

    ridge: list[int]
    top: Colour
    foot: Colour


def rendered_pixels(
    prompt: str, model: str, width: int, height: int, position: int = 0, seed: int | None = None
) -> bytes:
    """The picture's pixels, row by row, three bytes each: red, green, blue."""
    parts = [prompt, model, f"{width}x{height}", str(position), "" if seed is None else str(seed)]
    randomness = _random_numbers("\0".join(parts))
    rows = _sky_and_lights(randomness, width, height)
    return b"".join(bytes(channel for pixel in row for channel in pixel) for row in rows)


def _sky_and_lights(randomness: Randomness, width: int, height: int) -> list[list[Colour]]:
    hue = randomness(WHEEL)
    turn = (1 if randomness(2) else -1) * (90 + randomness(170))
    shorter_side = min(width, height)
    sky = [_tint(hue, 150, 58), _tint(hue + turn, 165, 128), _tint(hue + 2 * turn, 225, 205)]
    slant = randomness(401) - 200
    radius = shorter_side * (60 + randomness(50)) // 1024 + 2
    x, y = width * (220 + randomness(585)) // 1024, height * (180 + randomness(260)) // 1024
    sun = Disc(x, y, radius, _tint(hue + 2 * turn, 240, 238), 240)
    discs = [_disc(randomness, hue + turn, width, height, shorter_side) for _ in range(DISCS)]
    hills = [_hill(randomness, number, hue + turn, width, height) for number in range(HILLS)]

    rows = [[_sky(sky, slant, x, y, width, height) for x in range(width)] for y in range(height)]
    _paint_glow(rows, sun, radius * 5)
    for disc in [sun, *discs]:
        _paint_disc(rows, disc)
    for hill in hills:
        _paint_hill(rows, hill)
    return rows


def _disc(randomness: Randomness, hue: int, width: int, height: int, shorter_side: int) -> Disc:
    x, y = randomness(width), height * randomness(800) // 1024
    radius = shorter_side * (12 + randomness(80)) // 1024 + 1
    colour = _tint(hue + randomness(401) - 200, 180, 150 + randomness(80))
    return Disc(x, y, radius, colour, 24 + randomness(56))


def _hill(randomness: Randomness, number: int, hue: int, width: int, height: int) -> Hill:
    level, swing = 520 + number * 88 + randomness(50), 92 - number * 9
    waves = []
    for times in (1, 2, 5, 11):
        turns = TURN * times * (48 + randomness(60)) // 100
        waves.append((turns, randomness(TURN), swing // times))
    ridge = []
    for x in range(width):
        rises = (2 * tall * _sine((turns * x // width + phase) % TURN) for turns, phase, tall in waves)
        ridge.append((level * 256 + sum(rises)) * height // 1024)
    light = 150 - number * 28
    return Hill(ridge, _tint(hue + number * 26, 120, light), _tint(hue + 60 + number * 26, 130, light - 26))


def _sky(sky: list[Colour], slant: int, x: int, y: int, width: int, height: int) -> Colour:
    down = min(1023, max(0, y * 1400 // height + slant * x // width))
    start, end = (sky[0], sky[1]) if down < 512 else (sky[1], sky[2])
    return _mix(start, end, down % 512 // 2)


def _paint_glow(rows: list[list[Colour]], sun: Disc, glow: int) -> None:
    reach = glow * glow
    for y, row in enumerate(rows):
        for x, below in enumerate(row):
            rest = reach - (y - sun.y) ** 2 - (x - sun.x) ** 2
            if rest > 0:
                row[x] = _mix(below, sun.colour, (rest * 256 // reach) ** 2 // 450)


def _paint_disc(rows: list[list[Colour]], disc: Disc) -> None:
    for y, row in enumerate(rows):
        for x, below in enumerate(row):
            inside = disc.radius**2 - (y - disc.y) ** 2 - (x - disc.x) ** 2
            edge = inside * 128 // disc.radius + 128
            if edge > 0:
                row[x] = _mix(below, disc.colour, min(256, edge) * disc.cover // 256)


def _paint_hill(rows: list[list[Colour]], hill: Hill) -> None:
    for y, row in enumerate(rows):
        for x, below in enumerate(row):
            depth = y * 256 + 256 - hill.ridge[x]
            if depth > 0:
                colour = _mix(hill.top, hill.foot, min(256, depth * 3 // len(rows)))
                row[x] = _mix(below, colour, min(256, depth))


def _mix(start: Colour, end: Colour, share: int) -> Colour:
    red, green, blue = (a + (b - a) * share // 256 for a, b in zip(start, end, strict=True))
    return red, green, blue


def _tint(hue: int, saturation: int, lightness: int) -> Colour:
    at = hue % WHEEL
    strong = (255 - abs(2 * lightness - 255)) * saturation // 255
    between = strong * (256 - abs(at % 512 - 256)) // 256
    low = lightness - strong // 2
    red, green, blue = (
        (strong, between, 0),
        (between, strong, 0),
        (0, strong, between),
        (0, between, strong),
        (between, 0, strong),
        (strong, 0, between),
    )[at // 256]
    return low + red, low + green, low + blue


def _sine(angle: int) -> int:
    part = angle % HALF * (HALF - angle % HALF)
    size = 128 * 16 * part // (5 * HALF * HALF - 4 * part)
    return size if angle < HALF else -size


def _random_numbers(seed: str) -> Randomness:
    """Pseudo-random numbers: the state is the FNV-1a hash of the seed, and xorshift makes the next one."""
    state = 0x811C9DC5
    for byte in seed.encode():
        state = (state ^ byte) * 0x01000193 & 0xFFFFFFFF
    state = state or 1

    def randomness(below: int) -> int:
        nonlocal state
        state ^= state << 13 & 0xFFFFFFFF
        state ^= state >> 17
        state ^= state << 5 & 0xFFFFFFFF
        return state % below

    return randomness
