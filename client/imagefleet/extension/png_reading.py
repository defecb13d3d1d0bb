"""Reads PNG files with the standard library alone: all colour types and depths, but no interlaced files."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from imagefleet.extension.png import SIGNATURE

Planes = tuple[bytes, bytes, bytes, bytes]
OPAQUE = 255
GREY, COLOUR, PALETTE, GREY_ALPHA, COLOUR_ALPHA = 0, 2, 3, 4, 6
CHANNELS = {GREY: 1, COLOUR: 3, PALETTE: 1, GREY_ALPHA: 2, COLOUR_ALPHA: 4}
DEPTHS = (1, 2, 4, 8, 16)


class UnreadablePng(Exception):
    """The file is no PNG, is damaged, or is of a kind that is not read here; the text says which."""


@dataclass(frozen=True, slots=True)
class Header:
    """Sizes in px; `depth` is the bits of each channel."""

    width: int
    height: int
    depth: int
    kind: int
    interlaced: bool

    @property
    def pixel_bits(self) -> int:
        """The bits of a pixel."""
        return self.depth * CHANNELS[self.kind]

    @property
    def row_bytes(self) -> int:
        """The bytes of a row, without its filter."""
        return (self.width * self.pixel_bits + 7) // 8


class Png:
    """A picture whose rows have been read. Raises UnreadablePng."""

    def __init__(self, content: bytes) -> None:
        chunks = list(_chunks(content))
        self._header = read_header(content)
        self._palette = b"".join(data for kind, data in chunks if kind == b"PLTE")
        self._alphas = b"".join(data for kind, data in chunks if kind == b"tRNS")
        if self._header.interlaced:
            raise UnreadablePng("it is interlaced")
        self._rows = _rows(self._header, b"".join(data for kind, data in chunks if kind == b"IDAT"))
        self.width, self.height = self._header.width, self._header.height

    def planes(self, y: int) -> Planes:
        """A row as one byte a pixel for each of red, green, blue and alpha."""
        header, row = self._header, self._rows[y]
        if header.kind == PALETTE:
            return self._looked_up(_samples(row, header))
        step = CHANNELS[header.kind]
        values = row[::2] if header.depth == 16 else _widened(_samples(row, header), header.depth)
        channels = [values[at::step] for at in range(step)]
        alpha = channels[-1] if header.kind in (GREY_ALPHA, COLOUR_ALPHA) else bytes([OPAQUE]) * self.width
        red, green, blue = channels[:3] if header.kind in (COLOUR, COLOUR_ALPHA) else [channels[0]] * 3
        return red, green, blue, alpha

    def _looked_up(self, indexes: bytes) -> Planes:
        tables = [self._palette[at::3].ljust(256, b"\0")[:256] for at in range(3)]
        alphas = self._alphas[:256].ljust(256, bytes([OPAQUE]))
        red, green, blue, alpha = (indexes.translate(table) for table in (*tables, alphas))
        return red, green, blue, alpha


def read_header(content: bytes) -> Header:
    """The size and kind of a file. Raises UnreadablePng."""
    if not content.startswith(SIGNATURE) or content[12:16] != b"IHDR" or len(content) < 33:
        raise UnreadablePng("it is not a PNG file")
    width, height, depth, kind, _, _, interlaced = struct.unpack(">IIBBBBB", content[16:29])
    if not width or not height or kind not in CHANNELS or depth not in DEPTHS:
        raise UnreadablePng("it is not a PNG file")
    return Header(width, height, depth, kind, bool(interlaced))


def _chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = len(SIGNATURE)
    while at + 12 <= len(content):
        (length,) = struct.unpack(">I", content[at : at + 4])
        yield content[at + 4 : at + 8], content[at + 8 : at + 8 + length]
        at += 12 + length


def _rows(header: Header, packed: bytes) -> list[bytes]:
    stride = header.row_bytes + 1
    try:
        data = zlib.decompressobj().decompress(packed, stride * header.height)
    except zlib.error as error:
        raise UnreadablePng("it is damaged") from error
    if len(data) < stride * header.height:
        raise UnreadablePng("it is cut off")
    rows: list[bytes] = []
    above = bytes(header.row_bytes)
    for start in range(0, len(data), stride):
        above = _unfiltered(data[start], data[start + 1 : start + stride], above, max(1, header.pixel_bits // 8))
        rows.append(above)
    return rows


def _unfiltered(kind: int, row: bytes, above: bytes, step: int) -> bytes:
    """Undo the filter of a row; `step` is the distance in bytes to the pixel on the left."""
    if kind == 0:
        return row
    if kind == 2:
        return bytes((value + up) & 255 for value, up in zip(row, above, strict=True))
    out = bytearray(step) + row  # the pixel on the left of the row is 0
    corners = bytes(step) + above
    if kind == 1:
        for at, value in enumerate(row, step):
            out[at] = (value + out[at - step]) & 255
    elif kind == 3:
        for at, value in enumerate(row, step):
            out[at] = (value + (out[at - step] + corners[at]) // 2) & 255
    elif kind == 4:
        for at, value in enumerate(row, step):
            out[at] = (value + _paeth(out[at - step], corners[at], corners[at - step])) & 255
    else:
        raise UnreadablePng("it is damaged")
    return bytes(out[step:])


def _paeth(left: int, up: int, corner: int) -> int:
    estimate = left + up - corner
    to_left, to_up, to_corner = abs(estimate - left), abs(estimate - up), abs(estimate - corner)
    if to_left <= to_up and to_left <= to_corner:
        return left
    return up if to_up <= to_corner else corner


def _samples(row: bytes, header: Header) -> bytes:
    """One byte for each sample of a row, unpacked if a byte holds several."""
    if header.depth >= 8:
        return row
    mask = (1 << header.depth) - 1
    shifts = range(8 - header.depth, -1, -header.depth)
    return bytes((byte >> shift) & mask for byte in row for shift in shifts)[: header.width * CHANNELS[header.kind]]


def _widened(samples: bytes, depth: int) -> bytes:
    """Samples of fewer bits on the scale of 0 to 255."""
    if depth >= 8:
        return samples
    most = (1 << depth) - 1
    return samples.translate(bytes(min(value, most) * 255 // most for value in range(256)))
