"""Checks that a PNG is complete and copies only the chunks that make up the picture, without decoding it.

The compressed data is decompressed to the last row and its checksum. The remaining steps of a decoder, undoing filters
and looking up the palette, cannot fail whatever the bytes are, so they are skipped. Metadata, private chunks and
trailing bytes are dropped; metadata that say how the picture is shown are returned. Memory stays below a few MiB for any
file. The names are those of the PNG specification.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

from app.domain import png_colours
from app.domain.images import BadImage

SIGNATURE = b"\x89PNG\r\n\x1a\n"
PIECE_BYTES = 65_536
UNPACKED_BYTES = 262_144  # enough for what one piece of a typical picture unpacks to, so that it takes one call
MAX_CHUNKS = 50_000
MAX_METADATA_BYTES = 1_048_576  # of each chunk that is kept in memory; longer ones are ignored
METADATA = (b"eXIf", *png_colours.CHUNKS)

# The chunks that make up the picture, in the required order. tRNS is ancillary, but pictures look wrong without it.
_ORDER = {b"IHDR": 0, b"PLTE": 1, b"tRNS": 2, b"IDAT": 3, b"IEND": 4}
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
_PALETTE = 3
_TRANSPARENCY = {0: (2,), 2: (6,), _PALETTE: range(1, 257)}
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
_FILTERS = bytes(range(5))


@dataclass(frozen=True, slots=True)
class Header:
    """IHDR. Sizes in px."""

    width: int
    height: int
    bit_depth: int
    colour_type: int
    interlaced: bool

    @property
    def passes(self) -> list[tuple[int, int]]:
        """(bytes of a row including its filter byte, number of rows) of each pass over the picture, in order."""
        steps = _ADAM7 if self.interlaced else ((0, 0, 1, 1),)
        sizes = [((self.width - x + dx - 1) // dx, (self.height - y + dy - 1) // dy) for x, y, dx, dy in steps]
        bits = self.bit_depth * _CHANNELS[self.colour_type]
        return [(1 + (width * bits + 7) // 8, height) for width, height in sizes if width and height]


@dataclass(frozen=True, slots=True)
class Chunk:
    """The head of a chunk; its content has not been read yet."""

    type: bytes
    length: int


def read_header(source: BinaryIO) -> Header:
    """Read the header at the start of `source`. Raises BadImage."""
    source.seek(len(SIGNATURE))
    chunk = _next_chunk(source)
    if chunk != Chunk(b"IHDR", 13):
        raise BadImage("The PNG does not start with its header.")
    return _header(b"".join(_content(source, chunk)))


@dataclass(slots=True)
class Copied:
    """What was found besides the copied pixels.

    `metadata` are the chunks of METADATA by type. `is_clean` is False if the copy has bytes that are no part of the
    picture: behind the pixels, or in entries of a palette that no pixel uses.
    """

    metadata: dict[bytes, bytes] = field(default_factory=dict)
    is_clean: bool = True


def copy_critical_chunks(source: BinaryIO, target: BinaryIO) -> Copied:
    """Copy only the picture, and check that it is complete: chunk order, checksums, every row of pixels.

    Raises BadImage.
    """
    copy = _Copy(read_header(source), target)
    source.seek(len(SIGNATURE))
    target.write(SIGNATURE)
    for _ in range(MAX_CHUNKS):
        chunk = _next_chunk(source)
        copy.take(chunk, source)
        if chunk.type == b"IEND":
            return copy.found
    raise BadImage(f"The PNG has more than {MAX_CHUNKS} chunks.")


class _Copy:
    def __init__(self, header: Header, target: BinaryIO) -> None:
        self.header = header
        self.target = target
        self.rows = _Rows(header)
        self.seen: list[bytes] = []
        self.found = Copied()

    def take(self, chunk: Chunk, source: BinaryIO) -> None:
        """Copy or drop one chunk; its content is read to the end in either case."""
        if chunk.type == b"acTL":
            raise BadImage("The PNG is animated; only still pictures are accepted.")
        if chunk.type not in _ORDER:
            self._drop(chunk, source)
        else:
            self._check_order(chunk)
            self._copy(chunk, _content(source, chunk))
        self.seen.append(chunk.type)

    def _drop(self, chunk: Chunk, source: BinaryIO) -> None:
        """A wrong checksum does not matter in what is dropped."""
        if not chunk.type[0] & 0x20:
            raise BadImage("The PNG has unknown critical chunks.")
        if chunk.type in METADATA and chunk.type not in self.found.metadata and chunk.length <= MAX_METADATA_BYTES:
            content = _exactly(source, chunk.length)
            if zlib.crc32(chunk.type + content) == _checksum(source):
                self.found.metadata[chunk.type] = content
            return
        for _ in _pieces(source, chunk.length + 4):
            pass

    def _check_order(self, chunk: Chunk) -> None:
        """Each chunk comes at most once and in order; only IDAT may be split into several consecutive chunks."""
        if chunk.type == b"IDAT" and self.seen[-1] == b"IDAT":
            return
        if any(_ORDER.get(earlier, -1) >= _ORDER[chunk.type] for earlier in self.seen):
            raise BadImage("The PNG's chunks are not in order.")
        if chunk.type == b"IDAT" and self.header.colour_type == _PALETTE and b"PLTE" not in self.seen:
            raise BadImage("The PNG's palette is missing.")
        if not self._has_valid_length(chunk):
            raise BadImage(f"The PNG's {chunk.type.decode()} chunk has an invalid length.")
        if chunk.type == b"IEND":
            self.rows.finish()

    def _has_valid_length(self, chunk: Chunk) -> bool:
        if chunk.type == b"PLTE":
            return chunk.length % 3 == 0 and 3 <= chunk.length <= 768
        if chunk.type == b"tRNS":
            return chunk.length in _TRANSPARENCY.get(self.header.colour_type, ())
        return chunk.type != b"IEND" or chunk.length == 0

    def _copy(self, chunk: Chunk, content: Iterator[bytes]) -> None:
        if chunk.type == b"PLTE" and self.header.colour_type != _PALETTE:  # a mere suggestion
            for _ in content:
                pass
            return
        if chunk.type == b"PLTE":
            self.found.is_clean = False  # a decoder has to say which of its entries are used
        elif chunk.type == b"tRNS" and self.header.colour_type != _PALETTE:
            content = iter([self._masked(b"".join(content))])
        crc = zlib.crc32(chunk.type)
        self.target.write(struct.pack(">I", chunk.length) + chunk.type)
        for piece in content:
            crc = zlib.crc32(piece, crc)
            self.target.write(piece)
            if chunk.type == b"IDAT":
                self.rows.take(piece)
        self.found.is_clean &= not self.rows.has_surplus
        self.target.write(struct.pack(">I", crc))

    def _masked(self, key: bytes) -> bytes:
        """The transparent colour without the bits that are beyond the depth, which may be anything."""
        form = f">{len(key) // 2}H"
        return struct.pack(form, *(value & (1 << self.header.bit_depth) - 1 for value in struct.unpack(form, key)))


class _Rows:
    """Decompresses the pixels without keeping them: every row must be present and have a valid filter."""

    def __init__(self, header: Header) -> None:
        self.inflate = zlib.decompressobj()
        self.passes = header.passes
        self.at = 0
        self.has_surplus = False

    def take(self, packed: bytes) -> None:
        while packed:
            if self.inflate.eof:
                self.has_surplus = True
                return
            self._check(self._unpack(packed))
            packed = self.inflate.unconsumed_tail or self.inflate.unused_data

    def finish(self) -> None:
        while not self.inflate.eof and (rows := self._unpack(b"")):
            self._check(rows)
        if self.passes or not self.inflate.eof:
            raise BadImage("The PNG's pixels are truncated.")

    def _unpack(self, packed: bytes) -> bytes:
        try:
            return self.inflate.decompress(packed, UNPACKED_BYTES)
        except zlib.error:
            raise BadImage("The PNG's pixels are damaged.") from None

    def _check(self, rows: bytes) -> None:
        while rows:
            if not self.passes:
                raise BadImage("The PNG has more pixels than its size allows.")
            stride, height = self.passes[0]
            part, rows = rows[: stride * height - self.at], rows[stride * height - self.at :]
            if part[-self.at % stride :: stride].translate(None, _FILTERS):
                raise BadImage("The PNG's pixels are damaged.")
            self.at += len(part)
            if self.at == stride * height:
                self.passes, self.at = self.passes[1:], 0


def _header(content: bytes) -> Header:
    width, height, depth, colour, packing, filtering, interlacing = struct.unpack(">IIBBBBB", content)
    sizes_fit = 1 <= width < 2**31 and 1 <= height < 2**31
    if not sizes_fit or depth not in _DEPTHS.get(colour, ()) or packing or filtering or interlacing > 1:
        raise BadImage("The PNG's header is invalid.")
    return Header(width, height, depth, colour, interlacing == 1)


def _next_chunk(source: BinaryIO) -> Chunk:
    length, kind = struct.unpack(">I4s", _exactly(source, 8))
    if length >= 2**31 or not (kind.isalpha() and kind.isascii()):
        raise BadImage("The PNG has an invalid chunk.")
    return Chunk(kind, length)


def _content(source: BinaryIO, chunk: Chunk) -> Iterator[bytes]:
    """The chunk's content in pieces. Raises BadImage at the end if the checksum is wrong."""
    crc = zlib.crc32(chunk.type)
    for piece in _pieces(source, chunk.length):
        crc = zlib.crc32(piece, crc)
        yield piece
    if crc != _checksum(source):
        raise BadImage("The PNG is damaged: a checksum is wrong.")


def _pieces(source: BinaryIO, size: int) -> Iterator[bytes]:
    for left in range(size, 0, -PIECE_BYTES):
        yield _exactly(source, min(left, PIECE_BYTES))


def _checksum(source: BinaryIO) -> int:
    return int.from_bytes(_exactly(source, 4), "big")


def _exactly(source: BinaryIO, size: int) -> bytes:
    data = source.read(size)
    if len(data) != size:
        raise BadImage("The PNG is truncated.")
    return data
