"""What a drawing is laid over if it starts from other pictures."""

from __future__ import annotations

from dataclasses import dataclass

from imagefleet.extension.png_reading import Png

DEFAULT_STRENGTH = 0.5
WHITE = 255
# A pixel of the mask that is more transparent than this may change.
HALF = 128
_MAY_CHANGE = bytes(alpha < HALF for alpha in range(256))


@dataclass(frozen=True, slots=True)
class Inputs:
    """The pictures to start from, as PNG files. The mask is as large as the first one, and transparent where that may change.

    `size` is that of the first picture in px; `strength` is how much may change, from 0 to 1, if the request says.
    """

    images: tuple[bytes, ...]
    size: tuple[int, int]
    mask: bytes | None = None
    strength: float | None = None


class Underlay:
    """The input pictures at the size of the drawing: they fill it, and what does not fit is cut off. Several are mixed.

    Raises UnreadablePng.
    """

    def __init__(self, inputs: Inputs, width: int, height: int) -> None:
        self._images = [_Fitted(Png(image), width, height) for image in inputs.images]
        self._mask = None if inputs.mask is None else _Fitted(Png(inputs.mask), width, height)
        self.strength = DEFAULT_STRENGTH if inputs.strength is None else inputs.strength

    def row(self, y: int) -> list[bytearray]:
        """Red, green and blue of a row, on white."""
        rows = [image.on_white(y) for image in self._images]
        if len(rows) == 1:
            return rows[0]
        return [
            bytearray(sum(values) // len(rows) for values in zip(*planes, strict=True))
            for planes in zip(*rows, strict=True)
        ]

    def restore(self, y: int, planes: list[bytearray], below: list[bytes]) -> None:
        """Put back what the mask keeps of a row."""
        if self._mask is None:
            return
        kept = self._mask.planes(y)[3].translate(_MAY_CHANGE)
        start = kept.find(0)
        while start >= 0:
            end = kept.find(1, start)
            end = len(kept) if end < 0 else end
            for plane, original in zip(planes, below, strict=True):
                plane[start:end] = original[start:end]
            start = kept.find(0, end)


class _Fitted:
    """A picture, scaled to fill a size."""

    def __init__(self, png: Png, width: int, height: int) -> None:
        self._png = png
        scale = min(png.width / width, png.height / height)
        self._left, self._top = (png.width - width * scale) / 2, (png.height - height * scale) / 2
        self._scale = scale
        self._columns = [min(png.width - 1, int(self._left + (x + 0.5) * scale)) for x in range(width)]
        self._is_as_wide = self._columns == list(range(png.width))

    def planes(self, y: int) -> list[bytes]:
        """Red, green, blue and alpha of a row."""
        planes = self._png.planes(min(self._png.height - 1, int(self._top + (y + 0.5) * self._scale)))
        if self._is_as_wide:
            return list(planes)
        return [bytes(map(plane.__getitem__, self._columns)) for plane in planes]

    def on_white(self, y: int) -> list[bytearray]:
        """Red, green and blue of a row."""
        *colours, alpha = self.planes(y)
        if alpha.count(255) == len(alpha):
            return [bytearray(plane) for plane in colours]
        return [
            bytearray(WHITE + (value - WHITE) * share // 255 for value, share in zip(plane, alpha, strict=True))
            for plane in colours
        ]
