"""A file that is there whole or not at all."""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Iterable
from pathlib import Path

from imagefleet.answers import StoredImage
from imagefleet.errors import ConnectionLost


def save(pieces: Iterable[bytes], image: StoredImage, target: Path) -> None:
    """Write the picture beside `target`, compare it with what the server says of it, and rename it into place.

    Raises ConnectionLost where it is not the picture that the server announced, and OSError where the disk refuses.
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
        raise ConnectionLost(f"What arrived of {image.image_path} is not the picture that the server announced.")
