"""Names of pictures that every file system accepts, made of ids that people choose."""

from __future__ import annotations

import re
import unicodedata
from pathlib import PurePosixPath

LEAST_DIGITS = 4
_PART_BYTES = 100  # of a name; the whole stays far below the 255 bytes that file systems allow
_RESERVED = re.compile(r'[<>:"/\\|?*]')
_BLANKS = re.compile(r"\s+")
# Controls, marks of writing direction and the like, surrogates, private and unassigned characters.
_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})
_TYPES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".gif", ".avif"})


def picture_name(number: int, digits: int, custom_id: str | None, position: int, pictures: int, path: str) -> str:
    """The name for an item's picture: `0017-cover.png`, or `0017-cover-2.png` for the second (`position` 1) of several.

    It begins with the item's number in at least so many `digits`, so that no two items' names differ by case alone; its end is
    that of the server's `path`. It is as in the archives that the server makes.
    """
    part = _safe(custom_id or "")
    stem = "-".join([f"{number:0{digits}}", *([part] if part else []), *([str(position + 1)] if pictures > 1 else [])])
    suffix = PurePosixPath(path).suffix.lower()
    return stem + (suffix if suffix in _TYPES else ".png")


def digits_of(total: int) -> int:
    """How many digits the numbers of a batch with so many items have."""
    return max(LEAST_DIGITS, len(str(total)))


def _safe(text: str) -> str:
    visible = "".join(each for each in _BLANKS.sub(" ", text) if unicodedata.category(each) not in _INVISIBLE)
    composed = unicodedata.normalize("NFC", _RESERVED.sub("_", visible))
    return composed.encode()[:_PART_BYTES].decode(errors="ignore").strip(" .")
