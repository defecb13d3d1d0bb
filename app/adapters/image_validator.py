"""The image validator of workers: limits memory, so that no image can exhaust the machine's."""

from __future__ import annotations

from typing import BinaryIO

from app.adapters.memory import limited_memory
from app.adapters.pictures import check_and_store_as_png, memory_needed
from app.domain.images import ImageLimits, Picture


class PillowValidator:
    """For processes that do one thing at a time: the memory limit applies to the whole process during a validation."""

    def __call__(self, source: BinaryIO, target: BinaryIO, limits: ImageLimits) -> Picture:
        """As `check_and_store_as_png`. An image that needs more memory than any allowed one raises BadImage."""
        with limited_memory(memory_needed(limits)):
            return check_and_store_as_png(source, target, limits)
