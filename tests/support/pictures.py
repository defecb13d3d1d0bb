"""Pictures for tests that are not about pictures."""

from __future__ import annotations

import io
import random
from base64 import b64encode

from PIL import Image


def plain(colour: str = "red", size: tuple[int, int] = (8, 8), kind: str = "PNG") -> bytes:
    """A picture of one colour."""
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, kind)
    return file.getvalue()


def noise(width: int, height: int) -> bytes:
    """A PNG of about 3 bytes a pixel: noise cannot be compressed."""
    file = io.BytesIO()
    Image.frombytes("RGB", (width, height), random.Random(7).randbytes(3 * width * height)).save(file, "PNG")
    return file.getvalue()


def data_url(data: bytes) -> str:
    """The PNG as a data URL."""
    return "data:image/png;base64," + b64encode(data).decode()
