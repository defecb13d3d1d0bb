"""Names of files that every file system accepts, made of texts that clients choose."""

import re
import unicodedata

PART_BYTES = 100  # of a name; the whole stays far below the 255 bytes that file systems allow
LEAST_DIGITS = 4

# Characters that Windows or a shell gives a meaning; blanks of any kind become one blank.
_RESERVED = re.compile(r'[<>:"/\\|?*]')
_BLANKS = re.compile(r"\s+")
# Controls, marks of writing direction and the like, surrogates, private and unassigned characters.
_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})


def safe_part(text: str) -> str:
    """What can be part of a file's name behind other characters; may be empty.

    It is in Unicode's composed form, has no characters that are reserved or cannot be seen, and does not begin or end with a
    dot or blank. Names such as CON are only reserved at the beginning of a file's name.
    """
    visible = "".join(each for each in _BLANKS.sub(" ", text) if unicodedata.category(each) not in _INVISIBLE)
    composed = unicodedata.normalize("NFC", _RESERVED.sub("_", visible))
    return composed.encode()[:PART_BYTES].decode(errors="ignore").strip(" .")


def picture_name(number: int, total: int, custom_id: str | None, position: int, images: int) -> str:
    """The name of an item's picture, such as `0017-cover.png`, or `0017-cover-2.png` for the second of several.

    It begins with the item's number, with zeros up to the length of `total`, so that no two items' names differ by case alone
    and all are in order.
    """
    digits = max(LEAST_DIGITS, len(str(total)))
    part = safe_part(custom_id or "")
    return (
        "-".join([f"{number:0{digits}}", *([part] if part else []), *([str(position + 1)] if images > 1 else [])])
        + ".png"
    )


def archive_name(name: str | None, batch_id: str) -> str:
    """The name of a batch's archive."""
    return f"batch {safe_part(name or '') or batch_id}.zip"
