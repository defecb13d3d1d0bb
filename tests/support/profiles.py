"""Colour profiles: of the kinds that pictures have, small, and with known results."""

from __future__ import annotations

import struct

from app.domain.icc import D65, Primaries, rgb_profile, srgb_curve

WHITE = b"XYZ " + bytes(4) + struct.pack(">3i", 63_190, 65_536, 54_061)
DISPLAY_P3 = rgb_profile(Primaries(D65, (0.680, 0.320), (0.265, 0.690), (0.150, 0.060)), srgb_curve)
P3_OF_RED = (234, 51, 35)  # how Display P3 writes the red that is 255, 0, 0 in sRGB


def icc_file(kind: bytes, space: bytes, pcs: bytes, tags: dict[bytes, bytes]) -> bytes:
    """A profile of version 2."""
    at = 132 + 12 * len(tags)
    table = b""
    for name, content in tags.items():
        table += name + struct.pack(">II", at, len(content))
        at += len(content)
    head = struct.pack(">I4xI4s4s4s12x4s28x", at, 0x0210_0000, kind, space, pcs, b"acsp") + WHITE[8:]
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + b"".join(tags.values())


def grey_profile(gamma: float) -> bytes:
    """Grey values to the power of `gamma` are light."""
    curve = b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256)) + bytes(2)
    return icc_file(b"mntr", b"GRAY", b"XYZ ", {b"wtpt": WHITE, b"kTRC": curve})


def cmyk_profile() -> bytes:
    """A strange press: cyan prints the red of sRGB, all other inks print black, no ink is white."""
    white, red, black = (255, 128, 128), (139, 209, 198), (0, 128, 128)
    points = (
        white if not (c or m or y or k) else red if c and not (m or y or k) else black
        for c in (0, 1)
        for m in (0, 1)
        for y in (0, 1)
        for k in (0, 1)
    )
    identity = struct.pack(">9i", *(65_536 * (at % 4 == 0) for at in range(9)))
    linear = bytes(range(256))
    table = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + identity + linear * 4
    table += b"".join(bytes(point) for point in points) + linear * 3
    return icc_file(b"prtr", b"CMYK", b"Lab ", {b"wtpt": WHITE, b"A2B0": table})
