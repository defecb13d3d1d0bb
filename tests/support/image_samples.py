"""Sample images, valid and invalid. `png()` builds its files byte by byte, so that any part of them can be invalid."""

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
    """The pixels: unfiltered rows of a repeating pattern."""
    row = bytes(1) + bytes(i % 251 for i in range((width * bits + 7) // 8))
    return b"IDAT", zlib.compress(row * height)


def png_from_chunks(*chunks: Chunk) -> bytes:
    """A PNG of these chunks, in this order."""
    return SIGNATURE + b"".join(chunk(kind, content) for kind, content in chunks)


def png(width: int = 8, height: int = 8, *between: Chunk) -> bytes:
    """A valid RGB picture, with the chunks `between` before the pixels."""
    return png_from_chunks(ihdr(width, height), *between, idat(width, height), END)


def chunks_of(data: bytes) -> list[Chunk]:
    """The chunks of a PNG, up to IEND."""
    found: list[Chunk] = []
    at = len(SIGNATURE)
    while not found or found[-1][0] != b"IEND":
        length, kind = struct.unpack_from(">I4s", data, at)
        found.append((kind, data[at + 8 : at + 8 + length]))
        at += 12 + length
    return found


def sample_image(width: int = 48, height: int = 32, mode: str = "RGB") -> Image.Image:
    """A white picture with a red upper left corner."""
    image = Image.new("RGB", (width, height), "white")
    ImageDraw.Draw(image).rectangle((0, 0, width // 3, height // 3), fill="red")
    return image.convert(mode)


def encoded(image: Image.Image, form: str, **options: object) -> bytes:
    """The picture as a file of this format."""
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def rotated_by_exif(form: str) -> bytes:
    """A picture of 48 x 32 px that is shown as 32 x 48, because its EXIF data rotate it by 90 degrees."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return encoded(sample_image(), form, exif=exif.tobytes())


def animated(form: str) -> bytes:
    """An animation of two frames."""
    return encoded(
        sample_image(), form, save_all=True, append_images=[sample_image(mode="L").convert("RGB")], duration=100
    )


def zip_file(name: str = "payload.txt") -> bytes:
    """A ZIP archive; readers of ZIP search for it from the end of a file."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(name, "payload")
    return file.getvalue()


def scan_bomb(scans: int = 500) -> bytes:
    """A progressive JPEG that repeats its last scan; each repetition is some 60 bytes."""
    data = encoded(Image.new("RGB", (640, 640), (120, 130, 90)), "JPEG", progressive=True)
    last = max(found.start() for found in re.finditer(rb"\xff\xc4", data))
    return data[:-2] + data[last:-2] * scans + data[-2:]


def webp_claiming(width: int, height: int) -> bytes:
    """A WEBP whose header claims a canvas of this size, which its content does not have."""
    size = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    body = b"WEBPVP8X" + struct.pack("<I", 10) + bytes(4) + size + encoded(sample_image(), "WEBP")[12:]
    return b"RIFF" + struct.pack("<I", len(body)) + body


def with_flipped_bit(data: bytes, at: int) -> bytes:
    """The same bytes with one bit flipped; a negative `at` counts from the end."""
    changed = bytearray(data)
    changed[at] ^= 0x10
    return bytes(changed)


def _pixel_bomb() -> bytes:
    """A PNG of about 50 kB with 20,000 x 20,000 px of one bit."""
    return png_from_chunks(ihdr(20_000, 20_000, 1, 0), (b"IDAT", zlib.compress(bytes(2_501 * 20_000), 9)), END)


def _row_bomb() -> bytes:
    """A PNG of 8 x 8 px whose pixel data decompress to 100 MB."""
    return png_from_chunks(ihdr(8, 8), (b"IDAT", zlib.compress(bytes(100_000_000), 9)), END)


PALETTE: Chunk = (b"PLTE", bytes(range(12)))
EMPTY_CHUNKS = [(b"teXt", b"")] * 50_001

# Each of these must be refused with BadImage.
REFUSED: dict[str, Callable[[], bytes]] = {
    "nothing": lambda: b"",
    "a html page": lambda: b"<!doctype html><html><script>alert(1)</script></html>",
    "an svg": lambda: b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
    "an eps": lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n",
    "a tiff": lambda: encoded(sample_image(), "TIFF"),
    "a gif": lambda: encoded(sample_image(), "GIF"),
    "a bmp": lambda: encoded(sample_image(), "BMP"),
    "an ico": lambda: encoded(sample_image(), "ICO"),
    "an avif": lambda: b"\0\0\0\x20ftypavif" + bytes(60),
    "a zip": zip_file,
    "a png behind html": lambda: b"<script>alert(1)</script>" + png(),
    "only the signature of a png": lambda: SIGNATURE,
    "a png cut in half": lambda: encoded(sample_image(), "PNG")[:90],
    "a png without its last 20 bytes": lambda: png()[:-20],
    "a png without its last byte": lambda: png()[:-1],
    "a png without its end": lambda: png_from_chunks(ihdr(8, 8), idat(8, 8)),
    "a png without pixels": lambda: png_from_chunks(ihdr(8, 8), END),
    "a png with half of its rows": lambda: png_from_chunks(ihdr(8, 8), idat(8, 4), END),
    "a png with twice its rows": lambda: png_from_chunks(ihdr(8, 8), idat(8, 16), END),
    "a png whose pixels lost their end": lambda: png_from_chunks(ihdr(8, 8), (b"IDAT", idat(8, 8)[1][:-4]), END),
    "a png with a filter that does not exist": lambda: png_from_chunks(
        ihdr(1, 3), (b"IDAT", zlib.compress(b"\0rgb\x05rgb\0rgb")), END
    ),
    "a png of other bytes in place of pixels": lambda: png_from_chunks(
        ihdr(8, 8), (b"IDAT", b"<?php system($x); ?>"), END
    ),
    "a png with a flipped bit in its header": lambda: with_flipped_bit(png(), 18),
    "a png with a flipped bit in its pixels": lambda: with_flipped_bit(png(), -30),
    "a png with a critical chunk nobody knows": lambda: png(8, 8, (b"EVIL", b"x")),
    "a png with two headers": lambda: png(8, 8, ihdr(8, 8)),
    "a png whose header comes second": lambda: png_from_chunks((b"tEXt", b"k\0v"), ihdr(8, 8), idat(8, 8), END),
    "a png whose pixels are in two places": lambda: png_from_chunks(
        ihdr(8, 8), idat(8, 4), (b"tIME", bytes(7)), idat(8, 4), END
    ),
    "a png whose palette comes after": lambda: png_from_chunks(ihdr(8, 8, 8, 3), idat(8, 8, 8), PALETTE, END),
    "a png whose palette is missing": lambda: png_from_chunks(ihdr(8, 8, 8, 3), idat(8, 8, 8), END),
    "a png with a palette of 5 bytes": lambda: png(8, 8, (b"PLTE", b"12345")),
    "a png with two kinds of transparency": lambda: png_from_chunks(
        ihdr(8, 8, 8, 6), (b"tRNS", b"12"), idat(8, 8, 32), END
    ),
    "a png whose end carries something": lambda: png_from_chunks(ihdr(8, 8), idat(8, 8), (b"IEND", b"bye")),
    "a png of no width": lambda: png_from_chunks(ihdr(0, 8), idat(0, 8), END),
    "a png of a negative height": lambda: png_from_chunks(ihdr(8, 2**32 - 8), idat(8, 8), END),
    "a png of 3 bits": lambda: png_from_chunks(ihdr(8, 8, 3, 2), idat(8, 8), END),
    "a png of an unknown interlacing": lambda: png_from_chunks(ihdr(8, 8, 8, 2, 2), idat(8, 8), END),
    "a png chunk longer than the file": lambda: SIGNATURE + b"\x7f\xff\xff\xffIHDR" + bytes(30),
    "a png chunk longer than may be": lambda: png()[:33] + b"\xff\xff\xff\xffIDAT" + bytes(30),
    "a png of 50,000 empty chunks": lambda: png(8, 8, *EMPTY_CHUNKS),
    "a png that claims 100,000 x 100,000": lambda: png_from_chunks(ihdr(100_000, 100_000), idat(8, 8), END),
    "a png of 400 megapixels in 50 kB": _pixel_bomb,
    "a png that unpacks to 100 MB": _row_bomb,
    "an animated png": lambda: animated("PNG"),
    "only the first bytes of a jpeg": lambda: b"\xff\xd8\xff\xe0",
    "a jpeg cut in half": lambda: encoded(sample_image(640, 480), "JPEG")[:2_000],
    "a jpeg that claims 65,000 x 65,000": lambda: encoded(sample_image(), "JPEG").replace(
        struct.pack(">HH", 32, 48), struct.pack(">HH", 65_000, 65_000), 1
    ),
    "a jpeg of 500 scans": scan_bomb,
    "a jpeg of 2,000 comments": lambda: (
        b"\xff\xd8" + b"\xff\xfe\x00\x03x" * 2_001 + encoded(sample_image(), "JPEG")[2:]
    ),
    "a webp cut in half": lambda: encoded(sample_image(640, 480), "WEBP")[:400],
    "a webp of 20 bytes": lambda: encoded(sample_image(), "WEBP")[:20],
    "a webp of another form": lambda: b"RIFF\x20\0\0\0WEBPEVIL" + bytes(40),
    "a webp that claims 16 million x 16 million": lambda: webp_claiming(2**24, 2**24),
    "a webp of another size than its canvas": lambda: webp_claiming(600, 600),
    "an animated webp": lambda: animated("WEBP"),
    "a wave file": lambda: b"RIFF\x20\0\0\0WAVEfmt " + bytes(40),
}

_BOMB = zlib.compress(bytes(50_000_000), 9)

# Each of these is a valid picture with additional content. It must be accepted, and the additional content removed.
CLEANED: dict[str, Callable[[], bytes]] = {
    "a png with a text bomb": lambda: png(8, 8, (b"zTXt", b"k\0\0" + _BOMB)),
    "a png with a profile bomb": lambda: png(8, 8, (b"iCCP", b"p\0\0" + _BOMB)),
    "a png with a script behind it": lambda: png() + b"<script>alert(1)</script>",
    "a png that is a zip too": lambda: png() + zip_file(),
    "a png with a script in a text": lambda: png(8, 8, (b"tEXt", b"Comment\0<script>alert(1)</script>")),
    "a png with private chunks": lambda: png(8, 8, (b"prVt", b"secret")),
    "a png with a payload behind its pixels": lambda: png_from_chunks(
        ihdr(8, 8), (b"IDAT", idat(8, 8)[1] + b"payload"), END
    ),
    "a png with a payload in a second idat": lambda: png_from_chunks(
        ihdr(8, 8), idat(8, 8), (b"IDAT", b"payload"), END
    ),
    "a png with a flipped bit in a text": lambda: with_flipped_bit(png(8, 8, (b"tEXt", b"script")), 42),
    "a png with a flipped bit in its exif data": lambda: with_flipped_bit(png(8, 8, (b"eXIf", b"script")), 42),
    "a png with exif data of another kind": lambda: png(8, 8, (b"eXIf", b"script")),
    "a png with a suggested palette": lambda: png(8, 8, (b"PLTE", b"<script>payload script!!")),
    "a grey png with a palette": lambda: png_from_chunks(
        ihdr(8, 8, 8, 0), (b"PLTE", b"<script>payload"), idat(8, 8, 8), END
    ),
    "a png with more colours in its palette than its depth allows": lambda: png_from_chunks(
        ihdr(8, 8, 1, 3), (b"PLTE", bytes(6) + b"<script>payload!!!"), idat(8, 8, 1), END
    ),
    "a png with colours that no pixel has": lambda: png_from_chunks(
        ihdr(8, 8, 8, 3), (b"PLTE", bytes(range(24)) + b"<script>payload!!!"), idat(8, 8, 8), END
    ),
    "a png with more transparency than colours": lambda: png_from_chunks(
        ihdr(8, 8, 8, 3), (b"PLTE", bytes(24)), (b"tRNS", b"<script>payload"), idat(8, 8, 8), END
    ),
    "a png whose pixels have colours that are not in its palette": lambda: png_from_chunks(
        ihdr(8, 8, 8, 3), (b"PLTE", b"\0\0\0"), idat(8, 8, 8), END
    ),
    "a png whose transparent colour is beyond its depth": lambda: png_from_chunks(
        ihdr(8, 8), (b"tRNS", b"script"), idat(8, 8), END
    ),
    "a webp with exif data of another kind": lambda: encoded(sample_image(8, 8), "WEBP", exif=b"<script>payload"),
    "a jpeg with exif data of another kind": lambda: encoded(sample_image(8, 8), "JPEG", exif=b"Exif\0\0<script>"),
    "a jpeg with a script behind it": lambda: encoded(sample_image(8, 8), "JPEG") + b"<script>alert(1)</script>",
    "a jpeg with a script in its comment": lambda: encoded(
        sample_image(8, 8), "JPEG", comment="<script>alert(1)</script>"
    ),
    "a jpeg with a profile": lambda: encoded(sample_image(8, 8), "JPEG", icc_profile=b"<script>" * 20),
    "a webp with a script behind it": lambda: encoded(sample_image(8, 8), "WEBP") + b"<script>alert(1)</script>",
    "a webp with a profile": lambda: encoded(sample_image(8, 8), "WEBP", icc_profile=b"<script>" * 20),
}
