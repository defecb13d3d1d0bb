"""Colour profiles for pictures that state their primaries and transfer function as numbers, and not as a profile."""

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass

Vector = Sequence[float]
Curve = Callable[[float], float]

CURVE_POINTS = 4_096
_D50 = (0.9642, 1.0, 0.8249)
_BRADFORD = ((0.8951, 0.2664, -0.1614), (-0.7502, 1.7135, 0.0367), (0.0389, -0.0685, 1.0296))


@dataclass(frozen=True, slots=True)
class Primaries:
    """Chromaticities (CIE 1931 x, y)."""

    white: tuple[float, float]
    red: tuple[float, float]
    green: tuple[float, float]
    blue: tuple[float, float]


D65 = (0.3127, 0.3290)
BT709 = Primaries(D65, (0.64, 0.33), (0.30, 0.60), (0.15, 0.06))


def srgb_curve(value: float) -> float:
    """The light that sRGB shows for a value, both from 0 to 1."""
    return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4


def rgb_profile(primaries: Primaries, curve: Curve) -> bytes:
    """An ICC profile. `curve` maps values to light, both from 0 to 1. Raises ValueError for impossible numbers."""
    try:
        columns = [_xyz(*point) for point in (primaries.red, primaries.green, primaries.blue)]
        white = _xyz(*primaries.white)
        shares = _solve(list(zip(*columns, strict=True)), white)
        adapted = [
            _adapt([share * each for each in column], white) for share, column in zip(shares, columns, strict=True)
        ]
        points = [min(max(curve(at / (CURVE_POINTS - 1)), 0.0), 1.0) for at in range(CURVE_POINTS)]
        return _file(dict(zip((b"rXYZ", b"gXYZ", b"bXYZ"), map(_point, adapted), strict=True)), _curve(points))
    except (ArithmeticError, struct.error) as error:
        raise ValueError("no colour space has these primaries") from error


def _xyz(x: float, y: float) -> Vector:
    return (x / y, 1.0, (1 - x - y) / y)


def _adapt(colour: Vector, white: Vector) -> Vector:
    """The colour under D50, the white of all profiles, by the Bradford transformation."""
    cone, from_white, to_white = (_times(_BRADFORD, each) for each in (colour, white, _D50))
    return _solve(_BRADFORD, [value * b / a for value, a, b in zip(cone, from_white, to_white, strict=True)])


def _times(matrix: Sequence[Vector], vector: Vector) -> Vector:
    return [sum(a * b for a, b in zip(row, vector, strict=True)) for row in matrix]


def _solve(matrix: Sequence[Vector], vector: Vector) -> Vector:
    """Cramer's rule."""
    rows = list(zip(*matrix, strict=True))
    return [_determinant([*rows[:at], tuple(vector), *rows[at + 1 :]]) / _determinant(rows) for at in range(3)]


def _determinant(rows: Sequence[Vector]) -> float:
    (a, b, c), (d, e, f), (g, h, i) = rows
    return a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)


def _point(xyz: Vector) -> bytes:
    return b"XYZ " + bytes(4) + struct.pack(">3i", *(round(value * 65_536) for value in xyz))


def _curve(points: Sequence[float]) -> bytes:
    values = (round(point * 65_535) for point in points)
    return b"curv" + bytes(4) + struct.pack(f">I{len(points)}H", len(points), *values)


def _file(colours: dict[bytes, bytes], curve: bytes) -> bytes:
    """The three curves share one copy of their content."""
    tags = {b"wtpt": _point(_D50), **colours, b"rTRC": curve}
    names = [*tags, b"gTRC", b"bTRC"]
    at = 128 + 4 + 12 * len(names)
    places = {}
    for name, content in tags.items():
        places[name] = struct.pack(">II", at, len(content))
        at += len(content)
    table = b"".join(name + places.get(name, places[b"rTRC"]) for name in names)
    head = struct.pack(">I4xI4s4s4s12x4s28x", at, 0x0430_0000, b"mntr", b"RGB ", b"XYZ ", b"acsp")
    head += _point(_D50)[8:]
    return head.ljust(128, b"\0") + struct.pack(">I", len(names)) + table + b"".join(tags.values())
