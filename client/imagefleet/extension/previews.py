"""Previews of a picture that is being drawn: a few small ones, spread over the time."""

from __future__ import annotations

import base64
import io
import time
from collections.abc import Callable
from typing import Any

from PIL import Image

LONGEST_PX = 512
MAX_BYTES = 96 * 1024  # the server takes no larger ones
INTERVAL_S = 1.1  # nor more than one a second
QUALITY = 75


class Previews:
    """Of one picture, the `index`-th of its job. At most `most` are made; `now` is a clock in seconds."""

    def __init__(self, most: int, index: int, now: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._index = index
        self._now = now
        self._made = 0
        self._made_at = float("-inf")

    def of(self, share: float, image: Image.Image | None) -> dict[str, Any] | None:
        """The `preview` for a progress message, if it is time for one; `share` of the picture is drawn, 0 to 1."""
        early = share * (self._most + 1) < self._made + 1 or self._now() - self._made_at < INTERVAL_S
        if image is None or self._made >= self._most or early:
            return None
        content = _small(image)
        if len(content) > MAX_BYTES:
            return None
        self._made += 1
        self._made_at = self._now()
        return {"mimeType": "image/webp", "data": base64.b64encode(content).decode(), "position": self._index}


def _small(image: Image.Image) -> bytes:
    copy = image.convert("RGB")
    copy.thumbnail((LONGEST_PX, LONGEST_PX))
    file = io.BytesIO()
    copy.save(file, "WEBP", quality=QUALITY, method=0)
    return file.getvalue()
