"""Copying the picture of a PNG without decoding it."""

from __future__ import annotations

import io
import random
import zlib

import pytest

from app.domain.images import BadImage
from app.domain.png import MAX_METADATA_BYTES, Copied, copy_critical_chunks, read_header
from tests.support.image_samples import END, chunks_of, idat, ihdr, png, png_from_chunks


def copied(data: bytes) -> bytes:
    target = io.BytesIO()
    copy_critical_chunks(io.BytesIO(data), target)
    return target.getvalue()


def test_a_bare_picture_is_copied_byte_by_byte() -> None:
    assert copied(png(20, 10)) == png(20, 10)


def test_everything_but_the_picture_is_dropped() -> None:
    decorated = png(20, 10, (b"tEXt", b"k\0v"), (b"gAMA", bytes(4)), (b"PLTE", bytes(6)), (b"prVt", b"x")) + b"trailing"
    assert copied(decorated) == png(20, 10)


def test_transparency_is_part_of_the_picture() -> None:
    palette = png_from_chunks(ihdr(4, 4, 2, 3), (b"PLTE", bytes(12)), (b"tRNS", b"\0\xff"), (b"IDAT", _rows(2, 4)), END)
    assert [kind for kind, _ in chunks_of(copied(palette))] == [b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"]


def test_pixels_may_come_in_many_pieces_and_empty_ones() -> None:
    packed = idat(8, 8)[1]
    pieces = [(b"IDAT", b""), *((b"IDAT", packed[at : at + 1]) for at in range(len(packed))), (b"IDAT", b"")]
    assert copied(png_from_chunks(ihdr(8, 8), *pieces, END)) == png_from_chunks(ihdr(8, 8), *pieces, END)


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (3, 5), (4, 1), (5, 8), (8, 8), (9, 17)])
@pytest.mark.parametrize(("depth", "colour"), [(1, 0), (8, 2), (16, 6), (4, 3)])
def test_interlaced_pictures_have_rows_for_seven_passes(size: tuple[int, int], depth: int, colour: int) -> None:
    header = read_header(io.BytesIO(png_from_chunks(ihdr(*size, depth, colour, 1))))
    raw = b"".join(bytes(stride) * rows for stride, rows in header.passes)
    palette = [(b"PLTE", bytes(6))] if colour == 3 else []
    whole = png_from_chunks(ihdr(*size, depth, colour, 1), *palette, (b"IDAT", zlib.compress(raw)), END)
    assert copied(whole) == whole
    cut = png_from_chunks(ihdr(*size, depth, colour, 1), *palette, (b"IDAT", zlib.compress(raw[:-1])), END)
    with pytest.raises(BadImage):
        copied(cut)


def found_in(data: bytes) -> Copied:
    return copy_critical_chunks(io.BytesIO(data), io.BytesIO())


def test_the_first_metadata_of_each_kind_are_returned() -> None:
    chunks = [(b"tEXt", b"k\0v"), (b"eXIf", b"MM"), (b"eXIf", b"II"), (b"gAMA", b"1234")]
    assert found_in(png(8, 8, *chunks)).metadata == {b"eXIf": b"MM", b"gAMA": b"1234"}
    assert found_in(png(8, 8)).metadata == {}


def test_damaged_metadata_are_ignored() -> None:
    data = bytearray(png(8, 8, (b"eXIf", b"MM")))
    data[data.index(b"eXIf") + 4] ^= 1
    assert found_in(bytes(data)).metadata == {}


class Counting(io.BytesIO):
    longest_read = 0

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(size)
        self.longest_read = max(self.longest_read, len(data))
        return data


def test_metadata_are_kept_up_to_their_limit_and_never_read_at_once_beyond() -> None:
    longest = bytes(MAX_METADATA_BYTES)
    assert found_in(png(8, 8, (b"eXIf", longest))).metadata == {b"eXIf": longest}
    source = Counting(png(8, 8, (b"eXIf", longest + b"x")))
    assert copy_critical_chunks(source, io.BytesIO()).metadata == {}
    assert source.longest_read <= 65_536


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_a_transparent_colour_has_no_bits_beyond_the_depth(depth: int) -> None:
    grey = png_from_chunks(ihdr(8, 8, depth, 0), (b"tRNS", b"\xff\xff"), idat(8, 8, depth), END)
    assert dict(chunks_of(copied(grey)))[b"tRNS"] == (2**depth - 1).to_bytes(2, "big")
    assert found_in(grey).is_clean


@pytest.mark.parametrize("surplus", [[(b"IDAT", b"")], [(b"IDAT", b"x")]])
def test_bytes_behind_the_pixels_make_a_copy_unclean(surplus: list[tuple[bytes, bytes]]) -> None:
    data = png_from_chunks(ihdr(8, 8), idat(8, 8), *surplus, END)
    assert found_in(data).is_clean == (surplus[0][1] == b"")


def test_a_change_of_any_byte_is_detected() -> None:
    intact = png(6, 4)
    for at in range(len(intact)):
        for bit in (1, 0x20, 0x80):
            changed = bytearray(intact)
            changed[at] ^= bit
            with pytest.raises(BadImage):
                _read_whole(bytes(changed))


def test_truncation_at_any_byte_is_detected() -> None:
    intact = png(6, 4, (b"tEXt", b"k\0v"))
    for length in range(8, len(intact)):
        with pytest.raises(BadImage):
            copied(intact[:length])


def test_random_bytes_never_raise_anything_but_bad_image() -> None:
    randomness = random.Random(7)
    for _ in range(300):
        with pytest.raises(BadImage):
            copied(png()[: randomness.randrange(8, 40)] + randomness.randbytes(60))


def _read_whole(data: bytes) -> None:
    """As in the service, where the signature selects the parser."""
    if data[:8] != png()[:8]:
        raise BadImage("signature")
    copied(data)


def _rows(stride: int, rows: int) -> bytes:
    return zlib.compress(bytes(stride) * rows)
