"""Atomic downloads: the file is complete or does not exist."""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Iterable
from pathlib import Path

from imagefleet.answers import StoredImage
from imagefleet.errors import ConnectionLost


def save(pieces: Iterable[bytes], image: StoredImage, target: Path) -> None:
    """Write the picture beside `target`, check its size and SHA-256, and rename it.

    Raises ConnectionLost if the size or SHA-256 is not the announced one, OSError if writing fails.
    """
    unfinished = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    try:
        _write(pieces, image, unfinished)
        os.replace(unfinished, target)
    finally:
        unfinished.unlink(missing_ok=True)


def _write(pieces: Iterable[bytes], image: StoredImage, path: Path) -> None:
    digest, size = hashlib.sha256(), 0
    with path.open("xb") as file:
        for piece in pieces:
            file.write(piece)
            digest.update(piece)
            size += len(piece)
            if image.bytes is not None and size > image.bytes:
                break
        file.flush()
        os.fsync(file.fileno())
    if image.bytes not in (None, size) or image.sha256 not in (None, digest.hexdigest()):
        raise ConnectionLost(f"The download of {image.image_path} is not the picture that the server announced.")
