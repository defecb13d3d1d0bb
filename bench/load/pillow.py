"""`python -m bench.load.pillow`: Pillow alone, the floor of `pictures`, and thumbnails alone."""

from __future__ import annotations

import io
import os
import time
from pathlib import Path
from typing import Any

from PIL import Image

from app.adapters.pictures import COMPRESS_LEVEL
from app.adapters.renditions import render, write_thumbnails
from app.domain.images import THUMBNAILS
from bench import meter
from bench.load.loop import Loop, run_commands


def convert(path: str) -> dict[str, Any]:
    """Decode the file; encode it as PNG like the service unless it is one. CPU in s, peak memory in bytes."""
    data = Path(path).read_bytes()
    meter.forget_peak(os.getpid())
    begun = time.process_time()
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        if image.format != "PNG":
            image.save(io.BytesIO(), "PNG", compress_level=COMPRESS_LEVEL)
    return {"cpu": time.process_time() - begun, "memory": meter.peak_resident(os.getpid())}


def thumbnails(path: str) -> dict[str, Any]:
    """Make the thumbnails of the decoded picture. CPU in s."""
    with Image.open(path) as image:
        image.load()
        files = {each: io.BytesIO() for each in THUMBNAILS}
        begun = time.process_time()
        write_thumbnails(image, files)
        used = time.process_time() - begun
    if not all(file.getvalue() for file in files.values()):
        raise RuntimeError("the thumbnails were not made")
    return {"cpu": used}


def renditions(path: str) -> dict[str, Any]:
    """Make the thumbnails of the stored PNG, each from the file. CPU in s."""
    data = Path(path).read_bytes()
    begun = time.process_time()
    for each in THUMBNAILS:
        render(io.BytesIO(data), io.BytesIO(), each)
    return {"cpu": time.process_time() - begun}


if __name__ == "__main__":
    run_commands(Loop(), {"convert": convert, "thumbnails": thumbnails, "renditions": renditions})
