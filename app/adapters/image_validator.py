"""Judging pictures as workers do: with a ceiling on memory, so that no picture can take the machine's."""

from __future__ import annotations

from typing import BinaryIO

from app.adapters.memory import limited_memory
from app.adapters.pictures import check_and_store_as_png, memory_needed
from app.domain.images import ImageLimits, Picture


class PillowValidator:
    """For processes that do one thing at a time: the ceiling holds for the whole process while a picture is judged."""

    def __call__(self, source: BinaryIO, target: BinaryIO, limits: ImageLimits) -> Picture:
        """As `check_and_store_as_png`; a picture that needs more memory than any allowed one is a BadImage."""
        with limited_memory(memory_needed(limits)):
            return check_and_store_as_png(source, target, limits)
