"""What the argument of a command names: a list, a folder that a batch is in, or a batch by its ID."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from pathlib import Path

from imagefleet.batching.folder import FolderError, is_batch_folder

STDIN = "-"


@dataclass(frozen=True, slots=True)
class Place:
    """A batch that exists: in this folder, or with this ID."""

    folder: Path | None = None
    batch_id: str | None = None


def existing(text: str) -> Place | None:
    """The batch that the text names; None if it does not name one. Raises FolderError for a folder without a batch."""
    path = Path(text)
    if path.is_dir():
        if not is_batch_folder(path):
            raise FolderError(f"{path} is a folder that no batch is in: name the list, and this folder with --output.")
        return Place(folder=path)
    if path.exists() or not is_batch_id(text):
        return None
    return Place(batch_id=text.lower())


def is_batch_id(text: str) -> bool:
    """True for what can be the ID of a batch."""
    try:
        return str(uuid.UUID(text)) == text.lower()
    except ValueError:
        return False


def default_folder(source: str) -> Path | None:
    """The folder for a list when none is named: its name without the end; None for stdin."""
    return None if source == STDIN else Path(Path(source).stem)
