"""Saving the pictures of a request in a folder."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path, PurePosixPath

from imagefleet.client import Client
from imagefleet.models import ImageRequest

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,200}")


def prepare(folder: Path) -> None:
    """Create the folder where it is missing, and check that files can be written in it. Raises OSError, naming it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(folder)) from None


def save_all(fleet: Client, result: ImageRequest, folder: Path) -> list[Path]:
    """Download every picture into `folder`, which `prepare` has created. Returns the files, in order."""
    names = [file_name(image.image_path, f"image_{number}.png") for number, image in enumerate(result.images, 1)]
    return [fleet.download(image, folder / name) for image, name in zip(result.images, names, strict=True)]


def file_name(image_path: str, fallback: str) -> str:
    """The last part of the server's path if it is a safe file name, else `fallback`."""
    name = PurePosixPath(image_path).name
    return name if _NAME.fullmatch(name) else fallback
