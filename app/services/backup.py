"""Copying pictures between the storage and a folder. Pictures never change: what is there already is complete."""

import shutil
from dataclasses import dataclass

from app.services.ports import Store


@dataclass(frozen=True, slots=True)
class Copied:
    """How many files were copied, how many were there already, and how many were removed while they were copied."""

    copied: int = 0
    present: int = 0
    removed: int = 0


def copy_files(source: Store, target: Store) -> Copied:
    """Copy every picture that `target` does not have yet. If it is interrupted, do it again. Raises PictureError."""
    copied = present = removed = 0
    for name in source.names():
        if target.has(name):
            present += 1
            continue
        content = source.open(name)
        if content is None:
            removed += 1
            continue
        with content, target.stage() as staged:
            shutil.copyfileobj(content, staged.file)
            target.publish(staged, name)
        copied += 1
    return Copied(copied, present, removed)
