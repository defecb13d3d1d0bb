"""Saving the pictures of a request in a folder, under names of their own."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import tempfile
import unicodedata
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from imagefleet.downloads import is_complete

if TYPE_CHECKING:
    from imagefleet.client import Client
    from imagefleet.models import ImageRequest, StoredPicture

# What a picture may need at most, by the limit that servers have unless an operator changes it.
PICTURE_BYTES = 10_485_760
LONGEST_STEM = 60
_ENDS = {".png", ".jpg", ".jpeg", ".webp", ".gif", ".avif"}
# Windows has devices of these names in every folder, whatever the end of the file's name is.
_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)", re.IGNORECASE)


def prepare(folder: Path, pictures: int = 1) -> None:
    """Create the folder where it is missing, and check that so many pictures can be written. Raises OSError, naming it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"\0" * 4096)
        if shutil.disk_usage(folder).free < pictures * PICTURE_BYTES:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(folder)) from None


def save_all(client: Client, result: ImageRequest, folder: Path) -> list[Path]:
    """Download every picture into `folder`, which `prepare` has created. Returns the files, in order.

    They are named after the prompt; no file is overwritten, and a picture that is there already is not fetched again.
    """
    stem, count = stem_of(result.original_prompt or result.metadata.prompt or "", result.request_id), len(result.images)
    return [
        _save(client, picture, folder, f"{stem}-{number}" if count > 1 else stem, f"{result.request_id}-{number}")
        for number, picture in enumerate(result.images, 1)
    ]


def stem_of(prompt: str, fallback: str) -> str:
    """A name of lower-case letters and digits of the prompt, which every file system accepts."""
    composed = unicodedata.normalize("NFC", prompt).lower()
    words = re.sub(r"[\W_]+", "-", composed).strip("-")
    while len(words.encode()) > LONGEST_STEM:
        words = words[:-1]
    words = words.strip("-") or fallback
    return f"{words}-picture" if _DEVICES.fullmatch(words) else words


def end_of(picture: StoredPicture) -> str:
    """The end of the file's name, as on the server."""
    end = PurePosixPath(picture.image_path).suffix.lower()
    return end if end in _ENDS else ".png"


def _save(client: Client, picture: StoredPicture, folder: Path, stem: str, unique: str) -> Path:
    """Download to a name that only this picture has, from which a later run goes on, and then rename."""
    end = end_of(picture)
    for target in _names(folder, stem, end):
        if is_complete(picture, target):
            return target
        if not target.exists():
            break
    hidden = folder / f".{unique}{end}"
    try:
        client.download(picture, hidden)
        for target in _names(folder, stem, end):
            if _claimed(target):
                os.replace(hidden, target)
                return target
    except OSError as error:
        raise OSError(error.errno, error.strerror, error.filename or str(folder)) from None
    raise AssertionError("there is always another name")


def _names(folder: Path, stem: str, end: str) -> Iterator[Path]:
    """fox.png, fox-2.png, fox-3.png, …"""
    yield folder / f"{stem}{end}"
    number = 2
    while True:
        yield folder / f"{stem}-{number}{end}"
        number += 1


def _claimed(target: Path) -> bool:
    """True if this created the file, so that no other program gets its name."""
    with contextlib.suppress(FileExistsError):
        target.open("xb").close()
        return True
    return False
