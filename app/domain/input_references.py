"""References to the pictures that a request is made from; `input_images` validates them."""

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """IMAGE is what pictures are made from; only where MASK is transparent is it changed."""

    IMAGE = "image"
    MASK = "mask"


@dataclass(frozen=True, slots=True)
class InputReference:
    """An uploaded picture, or the picture at `position` of a completed request. `strength` is from 0 (alike) to 1."""

    input_id: str | None = None
    request_id: str | None = None
    position: int = 0
    role: Role = Role.IMAGE
    strength: float | None = None
