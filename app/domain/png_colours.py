"""The colour space that a PNG states in its chunks, as an ICC profile.

The precedence is that of the PNG specification, third edition: cICP, iCCP, sRGB, then gAMA and cHRM. Code points are those
of ITU-T H.273.
"""

import math
import struct
import zlib
from collections.abc import Mapping
from functools import partial

from app.domain.icc import BT709, D65, Curve, Primaries, rgb_profile, srgb_curve

CHUNKS = (b"cICP", b"iCCP", b"sRGB", b"gAMA", b"cHRM")
MAX_PROFILE_BYTES = 4_194_304  # profiles for printing have up to 3 MB
SRGB_GAMMA = 0.45455
# As in libpng: many programs write a gamma of about 1 / 2.2 and the primaries of sRGB when they mean sRGB.
GAMMA_TOLERANCE = 0.05 * SRGB_GAMMA
POINT_TOLERANCE = 0.01
HDR_WHITE = 203  # cd/m2 (ITU-R BT.2408); what is brighter becomes white

_P3 = ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060))
_SMPTE_170 = Primaries(D65, (0.630, 0.340), (0.310, 0.595), (0.155, 0.070))
_PRIMARIES = {
    1: BT709,
    5: Primaries(D65, (0.64, 0.33), (0.29, 0.60), (0.15, 0.06)),
    6: _SMPTE_170,
    7: _SMPTE_170,
    9: Primaries(D65, (0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),
    11: Primaries((0.314, 0.351), *_P3),
    12: Primaries(D65, *_P3),
}


def profile_of(chunks: Mapping[bytes, bytes]) -> bytes | None:
    """The profile that the chunks (CHUNKS, by type) state; None if it is sRGB, or if there is none that makes sense."""
    try:
        if b"cICP" in chunks:
            return _by_code_points(chunks[b"cICP"])
        if b"iCCP" in chunks:
            return _embedded(chunks[b"iCCP"])
        return None if b"sRGB" in chunks else _by_gamma(chunks)
    except (ValueError, LookupError, ArithmeticError, struct.error, zlib.error):
        return None


def _embedded(content: bytes) -> bytes | None:
    _name, _, packed = content.partition(b"\0")
    inflate = zlib.decompressobj()
    profile = inflate.decompress(packed[1:], MAX_PROFILE_BYTES)
    return profile if inflate.eof else None


def _by_gamma(chunks: Mapping[bytes, bytes]) -> bytes | None:
    primaries = _chromaticities(chunks[b"cHRM"]) if b"cHRM" in chunks else BT709
    gamma = struct.unpack(">I", chunks[b"gAMA"])[0] / 100_000 if b"gAMA" in chunks else SRGB_GAMMA
    is_srgb_gamma = abs(gamma - SRGB_GAMMA) < GAMMA_TOLERANCE
    if is_srgb_gamma and _similar(primaries, BT709):
        return None
    return rgb_profile(primaries, srgb_curve if is_srgb_gamma else partial(_power, 1 / gamma))


def _chromaticities(content: bytes) -> Primaries:
    values = [value / 100_000 for value in struct.unpack(">8I", content)]
    return Primaries(*zip(values[::2], values[1::2], strict=True))


def _similar(one: Primaries, other: Primaries) -> bool:
    pairs = zip(
        (one.white, one.red, one.green, one.blue), (other.white, other.red, other.green, other.blue), strict=True
    )
    return all(math.dist(a, b) < POINT_TOLERANCE for a, b in pairs)


def _by_code_points(content: bytes) -> bytes | None:
    primaries, transfer, matrix, full_range = content
    curve = _TRANSFERS[transfer]
    if matrix:  # a PNG has no other than RGB
        return None
    if (_PRIMARIES[primaries], curve) == (BT709, srgb_curve) and full_range:
        return None
    return rgb_profile(_PRIMARIES[primaries], curve if full_range else lambda value: curve(_from_video_range(value)))


def _from_video_range(value: float) -> float:
    return min(max((value * 255 - 16) / 219, 0.0), 1.0)


def _power(exponent: float, value: float) -> float:
    return float(value**exponent)


def _pq(value: float) -> float:
    power = float(value) ** (32 / 2523)
    light = max(power - 107 / 128, 0) / (2413 / 128 - 2392 / 128 * power)
    return float(light ** (8192 / 1305)) * 10_000 / HDR_WHITE


def _hlg(value: float) -> float:
    light = value**2 / 3 if value <= 0.5 else (math.exp((value - 0.55991073) / 0.17883277) + 0.28466892) / 12
    return float(light**1.2) * 1_000 / HDR_WHITE


# Pictures use the transfer functions of television (1, 6, 14, 15) where they mean sRGB, and browsers show them so.
_TRANSFERS: dict[int, Curve] = {
    1: srgb_curve,
    4: partial(_power, 2.2),
    5: partial(_power, 2.8),
    6: srgb_curve,
    8: partial(_power, 1.0),
    13: srgb_curve,
    14: srgb_curve,
    15: srgb_curve,
    16: _pq,
    17: partial(_power, 2.6),
    18: _hlg,
}
