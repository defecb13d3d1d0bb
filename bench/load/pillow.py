"""`python -m bench.load.pillow`: Pillow alone, the floor of `pictures`."""

from __future__ import annotations

import io
import os
import time
from pathlib import Path
from typing import Any

from PIL import Image

from app.adapters.pictures import COMPRESS_LEVEL
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


if __name__ == "__main__":
    run_commands(Loop(), {"convert": convert})
