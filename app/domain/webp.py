"""WEBP without a decoder: the canvas, which decoders make room for as soon as they open the file."""

from __future__ import annotations

from app.domain.images import BadImage

_ANIMATED = 0x02


def read_size(head: bytes) -> tuple[int, int]:
    """Width and height in px from the first HEAD_BYTES bytes. Raises BadImage for animations and what is no WEBP."""
    if len(head) < 30:
        raise BadImage("The WEBP is cut off.")
    form, content = head[12:16], head[20:30]
    if form == b"VP8X":
        if content[0] & _ANIMATED:
            raise BadImage("The WEBP is animated; only still pictures are taken.")
        return _little(content[4:7]) + 1, _little(content[7:10]) + 1
    if form == b"VP8L" and content[0] == 0x2F:
        bits = _little(content[1:5])
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if form == b"VP8 " and content[3:6] == b"\x9d\x01\x2a":
        return _little(content[6:8]) & 0x3FFF, _little(content[8:10]) & 0x3FFF
    raise BadImage("The WEBP's header is not valid.")


def _little(data: bytes) -> int:
    return int.from_bytes(data, "little")
