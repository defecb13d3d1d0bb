"""Bringing the pictures of one item into the folder: what is there already and whole is not fetched again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from imagefleet.batching.entries import REMOVED, Entry, SavedPicture
from imagefleet.batching.ledger import Task
from imagefleet.batching.names import picture_name
from imagefleet.client import Client
from imagefleet.downloads import is_complete
from imagefleet.errors import Gone, ImagefleetError, NotFound

GONE_REQUEST = "The request was removed from the server."


def saved(client: Client, folder: Path, task: Task, digits: int, *, download: bool, is_last: bool = False) -> Entry:
    """The item with its pictures in the folder, each whole and checked by its SHA-256. Without `download`, nothing is fetched.

    Raises the errors of the library, unless this `is_last` attempt: then they are problems of the pictures. Raises OSError.
    """
    if task.entry is not None and task.entry.request_id == task.request_id and _is_here(folder, task.entry):
        return task.entry
    try:
        entry = Entry.of(task.number, task.custom_id, client.get(task.request_id))
    except (NotFound, Gone):
        return _lost(task, GONE_REQUEST)
    except ImagefleetError as error:
        if not is_last:
            raise
        return _lost(task, _given_up(error))
    if not entry.pictures:  # an earlier try may have left a picture, which stays until there is a better one
        return entry.with_pictures(_left(folder, task.entry))
    pictures = []
    for position, picture in enumerate(entry.pictures):
        name = picture_name(task.number, digits, task.custom_id, position, len(entry.pictures), picture.image_path)
        try:
            pictures.append(_picture(client, folder, picture, name, download=download))
        except ImagefleetError as error:
            if not is_last:
                raise
            pictures.append(replace(picture, problem=_given_up(error)))
    return entry.with_pictures(tuple(pictures))


def remove_old(folder: Path, before: Entry | None, now: Entry) -> None:
    """Remove the files of an earlier try that the new one has no picture for. Raises OSError."""
    for name in set(before.files if before else ()) - set(now.files):
        (folder / name).unlink(missing_ok=True)


def _left(folder: Path, before: Entry | None) -> tuple[SavedPicture, ...]:
    pictures = before.pictures if before is not None else ()
    return tuple(each for each in pictures if each.file is not None and (folder / each.file).is_file())


def _is_here(folder: Path, entry: Entry) -> bool:
    """True if there is nothing to fetch."""
    return all(each.file is not None and _is_whole(each, folder / each.file) for each in entry.pictures)


def _is_whole(picture: SavedPicture, file: Path) -> bool:
    if picture.sha256 is not None:
        return is_complete(picture.stored(), file)
    return file.is_file() and picture.bytes is not None and file.stat().st_size == picture.bytes


def _picture(client: Client, folder: Path, picture: SavedPicture, name: str, *, download: bool) -> SavedPicture:
    if picture.problem is not None:
        return picture
    target = folder / name
    if not _is_whole(picture, target):
        if not download:
            return picture
        try:
            client.download(picture.stored(), target)
        except (NotFound, Gone):
            return replace(picture, problem=REMOVED)
    return replace(picture, file=name, bytes=picture.bytes or target.stat().st_size)


def _lost(task: Task, problem: str) -> Entry:
    """What is left to say of an item whose request cannot be had."""
    if task.entry is not None:
        return replace(task.entry, request_id=task.request_id)
    return Entry(
        task.number, task.request_id, "completed", task.custom_id, pictures=(SavedPicture("", problem=problem),)
    )


def _given_up(error: ImagefleetError) -> str:
    return f"It could not be fetched: {error.detail}"
