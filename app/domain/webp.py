"""The canvas size of a WEBP file, read before decoding: decoders allocate the canvas as soon as they open the file."""

from __future__ import annotations

from app.domain.images import BadImage

_ANIMATED = 0x02


def read_size(head: bytes) -> tuple[int, int]:
    """Width and height in px from the first HEAD_BYTES bytes. Raises BadImage for animations and invalid headers."""
    if len(head) < 30:
        raise BadImage("The WEBP is truncated.")
    form, content = head[12:16], head[20:30]
    if form == b"VP8X":
        if content[0] & _ANIMATED:
            raise BadImage("The WEBP is animated; only still pictures are accepted.")
        return _little_endian(content[4:7]) + 1, _little_endian(content[7:10]) + 1
    if form == b"VP8L" and content[0] == 0x2F:
        bits = _little_endian(content[1:5])
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if form == b"VP8 " and content[3:6] == b"\x9d\x01\x2a":
        return _little_endian(content[6:8]) & 0x3FFF, _little_endian(content[8:10]) & 0x3FFF
    raise BadImage("The WEBP's header is invalid.")


def _little_endian(data: bytes) -> int:
    return int.from_bytes(data, "little")
