"""Converts pictures from the colour profile in their file to sRGB, which is what a PNG without a profile is shown in."""

import io

from PIL import Image, ImageChops, ImageCms

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
GREY_MODES = ("1", "L", "LA", "I;16")
# There are many profiles of sRGB; they differ from each other by rounding.
TOLERANCE = 2
_LEVELS = range(0, 256, 15)
_RGB_SAMPLES = Image.frombytes(
    "RGB",
    (len(_LEVELS) ** 2, len(_LEVELS)),
    bytes(v for r in _LEVELS for g in _LEVELS for b in _LEVELS for v in (r, g, b)),
)
_GREY_SAMPLES = Image.frombytes("L", (256, 1), bytes(range(256)))


def is_srgb(profile: bytes) -> bool:
    """Whether pictures look the same without this profile, or the profile cannot be used."""
    space = _space_of(profile)
    if space not in ("RGB ", "GRAY"):
        return space != "CMYK"
    samples = _RGB_SAMPLES if space == "RGB " else _GREY_SAMPLES
    converted = _converted(samples, profile)
    if converted is None:
        return True
    extremes = ImageChops.difference(converted, samples.convert("RGB")).getextrema()
    return all(most <= TOLERANCE for _, most in extremes)  # type: ignore[misc]


def to_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    """The picture with its colours converted to sRGB, 8 bits each.

    The same picture if it already is in sRGB, or if the profile is damaged or of another kind of picture.
    """
    space = _space_of(profile)
    if is_srgb(profile) or (space == "CMYK") != (image.mode == "CMYK"):
        return image
    if space == "GRAY":
        return _grey_to_srgb(image, profile) if image.mode in GREY_MODES else image
    if image.mode not in ("CMYK", "RGB", "RGBA"):
        image = eight_bits(image).convert("RGBA" if image.mode == "LA" else "RGB")
    return _converted(image, profile) or image


def eight_bits(image: Image.Image) -> Image.Image:
    """The picture with 8 bits for each grey value; Pillow would cut the 16 bits of a PNG off at 255."""
    return image.point(lambda value: value * (1 / 257)).convert("L") if image.mode == "I;16" else image


def _grey_to_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    converted = _converted(eight_bits(image).convert("L"), profile)
    if converted is None:
        return image
    grey = converted.convert("L")
    if image.mode == "LA":
        grey.putalpha(image.getchannel("A"))
    return grey


def _space_of(profile: bytes) -> str:
    """The signature of the profile's colour space (ICC.1, section 7.2.6); "" for a damaged profile."""
    try:
        return str(ImageCms.ImageCmsProfile(io.BytesIO(profile)).profile.xcolor_space)
    except (OSError, ValueError):
        return ""


def _converted(image: Image.Image, profile: bytes) -> Image.Image | None:
    """None if littleCMS cannot convert from the profile."""
    try:
        transform = ImageCms.buildTransform(
            ImageCms.ImageCmsProfile(io.BytesIO(profile)),
            SRGB,
            image.mode,
            "RGBA" if image.mode == "RGBA" else "RGB",
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
            ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
        return ImageCms.applyTransform(image, transform)
    except (ImageCms.PyCMSError, OSError, ValueError):
        return None
