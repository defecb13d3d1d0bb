"""Validates the image on standard input in a separate process: `python -m tests.support.validate <pixels> <bytes>`.

Prints the verdict, a bar, and the peak of the resident memory in bytes.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

from app.adapters.memory import limited_memory
from app.adapters.pictures import check_and_store_as_png
from app.domain.images import BadImage, ImageLimits


def main() -> None:
    """Print the verdict."""
    max_pixels, extra_bytes = (int(argument) for argument in sys.argv[1:])
    source = io.BytesIO(sys.stdin.buffer.read())
    try:
        with limited_memory(extra_bytes):
            picture = check_and_store_as_png(source, io.BytesIO(), ImageLimits(2**40, max_pixels))
        verdict = f"kept {picture.width} x {picture.height}"
    except BadImage as error:
        verdict = f"refused: {error}"
    # Not getrusage, where a child starts with its parent's peak.
    status = Path("/proc/self/status").read_text()
    peak = next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM"))
    print(f"{verdict}|{peak}")


main()
