"""What a drawing is laid over if it starts from other pictures."""

from __future__ import annotations

from dataclasses import dataclass

from PIL import Image, ImageOps

from imagefleet.extension.picture_files import opened

DEFAULT_STRENGTH = 0.5
# A pixel of the mask that is more transparent than this may change.
HALF = 128


@dataclass(frozen=True, slots=True)
class Inputs:
    """The pictures to start from, as files. The mask is as large as the first one, and transparent where that may change.

    `size` is that of the first picture in px; `strength` is how much may change, from 0 to 1, if the request says.
    """

    images: tuple[bytes, ...]
    size: tuple[int, int]
    mask: bytes | None = None
    strength: float | None = None


class Underlay:
    """The input pictures at the size of the drawing: they fill it, and what does not fit is cut off. Several are mixed.

    Raises UnreadablePicture.
    """

    def __init__(self, inputs: Inputs, width: int, height: int) -> None:
        size = width, height
        self.image = _mixed([_on_white(_filling(opened(each), size)) for each in inputs.images])
        self._kept = None if inputs.mask is None else _opaque(_filling(opened(inputs.mask), size))
        self._strength = DEFAULT_STRENGTH if inputs.strength is None else inputs.strength

    def covered_by(self, painted: Image.Image) -> Image.Image:
        """The painted image over the input pictures, as opaque as the strength says, and only where the mask lets it."""
        result = Image.blend(self.image, painted, self._strength)
        return result if self._kept is None else Image.composite(self.image, result, self._kept)


def _filling(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    return image if image.size == size else ImageOps.fit(image, size, Image.Resampling.BILINEAR)


def _on_white(image: Image.Image) -> Image.Image:
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")


def _mixed(images: list[Image.Image]) -> Image.Image:
    """Each has the same share."""
    mixed = images[0]
    for number, image in enumerate(images[1:], 2):
        mixed = Image.blend(mixed, image, 1 / number)
    return mixed


def _opaque(image: Image.Image) -> Image.Image:
    """White where the image is opaque, black where it is transparent."""
    return image.getchannel("A").point([0] * HALF + [255] * (256 - HALF))
