"""Pictures, good and bad, made when asked for. `png()` needs no library, so that a PNG can be wrong anywhere."""

from __future__ import annotations

import io
import re
import struct
import zipfile
import zlib
from collections.abc import Callable

from PIL import Image, ImageDraw

SIGNATURE = b"\x89PNG\r\n\x1a\n"
END = b"IEND", b""
Chunk = tuple[bytes, bytes]


def chunk(kind: bytes, content: bytes = b"") -> bytes:
    """One PNG chunk with its checksum."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def ihdr(width: int, height: int, depth: int = 8, colour: int = 2, interlace: int = 0) -> Chunk:
    """The header chunk; colour 0 grey, 2 RGB, 3 palette, 4 grey with alpha, 6 RGBA."""
    return b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace)


def idat(width: int, height: int, bits: int = 24) -> Chunk:
    """The pixels: rows without filter, each one byte further in a pattern."""
    row = bytes(1) + bytes(i % 251 for i in range((width * bits + 7) // 8))
    return b"IDAT", zlib.compress(row * height)


def from_chunks(*chunks: Chunk) -> bytes:
    """A PNG of these chunks, in this order."""
    return SIGNATURE + b"".join(chunk(kind, content) for kind, content in chunks)


def png(width: int = 8, height: int = 8, *between: Chunk) -> bytes:
    """A sound RGB picture, with `between` put in before the pixels."""
    return from_chunks(ihdr(width, height), *between, idat(width, height), END)


def chunks_of(data: bytes) -> list[Chunk]:
    """Every chunk of a PNG, up to its IEND."""
    found: list[Chunk] = []
    at = len(SIGNATURE)
    while not found or found[-1][0] != b"IEND":
        length, kind = struct.unpack_from(">I4s", data, at)
        found.append((kind, data[at + 8 : at + 8 + length]))
        at += 12 + length
    return found


def drawn(width: int = 48, height: int = 32, mode: str = "RGB") -> Image.Image:
    """A picture whose upper left corner is red, the rest being white."""
    image = Image.new("RGB", (width, height), "white")
    ImageDraw.Draw(image).rectangle((0, 0, width // 3, height // 3), fill="red")
    return image.convert(mode)


def saved(image: Image.Image, form: str, **options: object) -> bytes:
    """The picture as a file of this format."""
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def turned(form: str) -> bytes:
    """A picture of 48 x 32 px that EXIF says is to be turned by a quarter to the right, into 32 x 48."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return saved(drawn(), form, exif=exif.tobytes())


def animated(form: str) -> bytes:
    """Two frames."""
    return saved(drawn(), form, save_all=True, append_images=[drawn(mode="L").convert("RGB")], duration=100)


def zipped(name: str = "payload.txt") -> bytes:
    """A ZIP, which readers find from its end."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(name, "payload")
    return file.getvalue()


def scan_bomb(scans: int = 500) -> bytes:
    """A progressive JPEG that repeats its last scan; each repetition is some 60 bytes."""
    data = saved(Image.new("RGB", (640, 640), (120, 130, 90)), "JPEG", progressive=True)
    last = max(found.start() for found in re.finditer(rb"\xff\xc4", data))
    return data[:-2] + data[last:-2] * scans + data[-2:]


def webp_claiming(width: int, height: int) -> bytes:
    """A WEBP whose canvas is of this size and whose content is not."""
    size = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    body = b"WEBPVP8X" + struct.pack("<I", 10) + bytes(4) + size + saved(drawn(), "WEBP")[12:]
    return b"RIFF" + struct.pack("<I", len(body)) + body


def flipped(data: bytes, at: int) -> bytes:
    """The same bytes with one bit turned; `at` may count from the end."""
    changed = bytearray(data)
    changed[at] ^= 0x10
    return bytes(changed)


def _pixel_bomb() -> bytes:
    """20,000 x 20,000 px of one bit in some 50 kB."""
    return from_chunks(ihdr(20_000, 20_000, 1, 0), (b"IDAT", zlib.compress(bytes(2_501 * 20_000), 9)), END)


def _row_bomb() -> bytes:
    """Eight by eight pixels that unpack to 100 MB."""
    return from_chunks(ihdr(8, 8), (b"IDAT", zlib.compress(bytes(100_000_000), 9)), END)


PALETTE: Chunk = (b"PLTE", bytes(range(12)))
EMPTY_CHUNKS = [(b"teXt", b"")] * 50_001

# Everything here must be refused with BadImage. Named after what it is.
REFUSED: dict[str, Callable[[], bytes]] = {
    "nothing": lambda: b"",
    "a html page": lambda: b"<!doctype html><html><script>alert(1)</script></html>",
    "an svg": lambda: b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
    "an eps": lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n",
    "a tiff": lambda: saved(drawn(), "TIFF"),
    "a gif": lambda: saved(drawn(), "GIF"),
    "a bmp": lambda: saved(drawn(), "BMP"),
    "an ico": lambda: saved(drawn(), "ICO"),
    "an avif": lambda: b"\0\0\0\x20ftypavif" + bytes(60),
    "a zip": zipped,
    "a png behind html": lambda: b"<script>alert(1)</script>" + png(),
    "only the signature of a png": lambda: SIGNATURE,
    "a png cut in half": lambda: saved(drawn(), "PNG")[:90],
    "a png without its last 20 bytes": lambda: png()[:-20],
    "a png without its last byte": lambda: png()[:-1],
    "a png without its end": lambda: from_chunks(ihdr(8, 8), idat(8, 8)),
    "a png without pixels": lambda: from_chunks(ihdr(8, 8), END),
    "a png with half of its rows": lambda: from_chunks(ihdr(8, 8), idat(8, 4), END),
    "a png with twice its rows": lambda: from_chunks(ihdr(8, 8), idat(8, 16), END),
    "a png whose pixels lost their end": lambda: from_chunks(ihdr(8, 8), (b"IDAT", idat(8, 8)[1][:-4]), END),
    "a png with a payload behind its pixels": lambda: from_chunks(ihdr(8, 8), (b"IDAT", idat(8, 8)[1] + b"hi"), END),
    "a png with a payload in a second idat": lambda: from_chunks(ihdr(8, 8), idat(8, 8), (b"IDAT", b"hi"), END),
    "a png with a filter that does not exist": lambda: from_chunks(
        ihdr(1, 3), (b"IDAT", zlib.compress(b"\0rgb\x05rgb\0rgb")), END
    ),
    "a png of other bytes in place of pixels": lambda: from_chunks(ihdr(8, 8), (b"IDAT", b"<?php system($x); ?>"), END),
    "a png with a flipped bit in its header": lambda: flipped(png(), 18),
    "a png with a flipped bit in its pixels": lambda: flipped(png(), -30),
    "a png with a flipped bit in a text": lambda: flipped(png(8, 8, (b"tEXt", b"k\0v")), 42),
    "a png with a critical chunk nobody knows": lambda: png(8, 8, (b"EVIL", b"x")),
    "a png with two headers": lambda: png(8, 8, ihdr(8, 8)),
    "a png whose header comes second": lambda: from_chunks((b"tEXt", b"k\0v"), ihdr(8, 8), idat(8, 8), END),
    "a png whose pixels are in two places": lambda: from_chunks(
        ihdr(8, 8), idat(8, 4), (b"tIME", bytes(7)), idat(8, 4), END
    ),
    "a png whose palette comes after": lambda: from_chunks(ihdr(8, 8, 8, 3), idat(8, 8, 8), PALETTE, END),
    "a png whose palette is missing": lambda: from_chunks(ihdr(8, 8, 8, 3), idat(8, 8, 8), END),
    "a png with a palette of 5 bytes": lambda: png(8, 8, (b"PLTE", b"12345")),
    "a png with two kinds of transparency": lambda: from_chunks(
        ihdr(8, 8, 8, 6), (b"tRNS", b"12"), idat(8, 8, 32), END
    ),
    "a png whose end carries something": lambda: from_chunks(ihdr(8, 8), idat(8, 8), (b"IEND", b"bye")),
    "a png of no width": lambda: from_chunks(ihdr(0, 8), idat(0, 8), END),
    "a png of a negative height": lambda: from_chunks(ihdr(8, 2**32 - 8), idat(8, 8), END),
    "a png of 3 bits": lambda: from_chunks(ihdr(8, 8, 3, 2), idat(8, 8), END),
    "a png of an unknown interlacing": lambda: from_chunks(ihdr(8, 8, 8, 2, 2), idat(8, 8), END),
    "a png chunk longer than the file": lambda: SIGNATURE + b"\x7f\xff\xff\xffIHDR" + bytes(30),
    "a png chunk longer than may be": lambda: png()[:33] + b"\xff\xff\xff\xffIDAT" + bytes(30),
    "a png of 50,000 empty chunks": lambda: png(8, 8, *EMPTY_CHUNKS),
    "a png that claims 100,000 x 100,000": lambda: from_chunks(ihdr(100_000, 100_000), idat(8, 8), END),
    "a png of 400 megapixels in 50 kB": _pixel_bomb,
    "a png that unpacks to 100 MB": _row_bomb,
    "an animated png": lambda: animated("PNG"),
    "only the first bytes of a jpeg": lambda: b"\xff\xd8\xff\xe0",
    "a jpeg cut in half": lambda: saved(drawn(640, 480), "JPEG")[:2_000],
    "a jpeg that claims 65,000 x 65,000": lambda: saved(drawn(), "JPEG").replace(
        struct.pack(">HH", 32, 48), struct.pack(">HH", 65_000, 65_000), 1
    ),
    "a jpeg of 500 scans": scan_bomb,
    "a jpeg of 2,000 comments": lambda: b"\xff\xd8" + b"\xff\xfe\x00\x03x" * 2_001 + saved(drawn(), "JPEG")[2:],
    "a webp cut in half": lambda: saved(drawn(640, 480), "WEBP")[:400],
    "a webp of 20 bytes": lambda: saved(drawn(), "WEBP")[:20],
    "a webp of another form": lambda: b"RIFF\x20\0\0\0WEBPEVIL" + bytes(40),
    "a webp that claims 16 million x 16 million": lambda: webp_claiming(2**24, 2**24),
    "a webp of another size than its canvas": lambda: webp_claiming(600, 600),
    "an animated webp": lambda: animated("WEBP"),
    "a wave file": lambda: b"RIFF\x20\0\0\0WAVEfmt " + bytes(40),
}

_BOMB = zlib.compress(bytes(50_000_000), 9)

# Everything here is a sound picture with more in it than a picture; it is taken, and the rest is left behind.
CLEANED: dict[str, Callable[[], bytes]] = {
    "a png with a text bomb": lambda: png(8, 8, (b"zTXt", b"k\0\0" + _BOMB)),
    "a png with a profile bomb": lambda: png(8, 8, (b"iCCP", b"p\0\0" + _BOMB)),
    "a png with a script behind it": lambda: png() + b"<script>alert(1)</script>",
    "a png that is a zip too": lambda: png() + zipped(),
    "a png with a script in a text": lambda: png(8, 8, (b"tEXt", b"Comment\0<script>alert(1)</script>")),
    "a png with private chunks": lambda: png(8, 8, (b"prVt", b"secret")),
    "a jpeg with a script behind it": lambda: saved(drawn(8, 8), "JPEG") + b"<script>alert(1)</script>",
    "a jpeg with a script in its comment": lambda: saved(drawn(8, 8), "JPEG", comment="<script>alert(1)</script>"),
    "a jpeg with a profile": lambda: saved(drawn(8, 8), "JPEG", icc_profile=b"<script>" * 20),
    "a webp with a script behind it": lambda: saved(drawn(8, 8), "WEBP") + b"<script>alert(1)</script>",
    "a webp with a profile": lambda: saved(drawn(8, 8), "WEBP", icc_profile=b"<script>" * 20),
}
