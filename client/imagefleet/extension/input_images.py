"""The input pictures of a job as the server announces them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from imagefleet.errors import BadAnswer
from imagefleet.wire import Fields

VARIATION = "image-variation"
EDIT = "image-edit"
OPERATIONS = (VARIATION, EDIT)
MAX_INPUTS = 4
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class InputImage:
    """Where a picture is, and how much it may change: `strength` from 0 (alike) to 1. `url` is valid while the job is held."""

    url: str
    sha256: str
    is_mask: bool
    strength: float | None

    @classmethod
    def read(cls, fields: Fields) -> InputImage:
        """From an item of `inputImages`. Raises BadAnswer."""
        url, sha256, role = fields.text("url"), fields.text("sha256").lower(), fields.text("role")
        strength = fields.body.get("strength")
        if not url.startswith(("http://", "https://")):
            raise fields.refusal("url", "an http address")
        if not _SHA256.fullmatch(sha256):
            raise fields.refusal("sha256", "a SHA-256 in hexadecimal")
        if fields.text("mime_type") != "image/png":
            raise fields.refusal("mime_type", "image/png")
        if role not in ("image", "mask"):
            raise fields.refusal("role", "image or mask")
        if strength is not None and not _is_share(strength):
            raise fields.refusal("strength", "a number from 0 to 1")
        return cls(url, sha256, role == "mask", strength)


def read_all(fields: Fields) -> tuple[InputImage, ...]:
    """The `inputImages` of a message; empty if it has none. Raises BadAnswer."""
    if fields.body.get("inputImages") is None:
        return ()
    inputs = tuple(InputImage.read(each) for each in fields.parts("input_images"))
    masks = sum(each.is_mask for each in inputs)
    if not 1 <= len(inputs) <= MAX_INPUTS or masks > 1 or masks == len(inputs):
        raise BadAnswer(
            f"The server sent something unexpected: inputImages must be 1 to {MAX_INPUTS}, one mask at most."
        )
    return inputs


def operation_of(inputs: tuple[InputImage, ...]) -> str | None:
    """The capability that these pictures need; None without any."""
    if not inputs:
        return None
    return EDIT if any(each.is_mask for each in inputs) else VARIATION


def _is_share(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1
