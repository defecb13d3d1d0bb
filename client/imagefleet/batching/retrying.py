"""Items of a batch that are made again, in the places of the old ones."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from imagefleet.batching.command import Awaited, Settings, open_session, wrong_use
from imagefleet.batching.folder import BatchFolder, FolderError, InUse
from imagefleet.batching.patience import patiently
from imagefleet.batching.screens import trouble
from imagefleet.client import Client
from imagefleet.errors import ConnectionLost, InvalidRequest
from imagefleet.models import Batch
from imagefleet.output.exits import FAILED, UNREACHABLE, fail

Edits = Sequence[Mapping[str, Any]]


def retry_items(settings: Settings, batch_id: str | None, path: Path | None, edits: Edits, *, failed: bool) -> None:
    """Have these items made again, and all that failed if `failed`; wait for them, and save them in the folder at `path`."""
    with wrong_use(), settings.session.connect(patience_s=0) as client:
        if path is None:
            _without_folder(settings, client, batch_id or "", edits, failed)
            return
        try:
            with open_session(settings, path) as session:
                if batch_id is not None:
                    session.folder.adopt(settings.server, session.fetch(batch_id))
                before = _newest(session.folder, edits)
                batch = _retried(settings, client, _batch_in(session.folder, settings), edits, failed)
                settings.say(
                    "The items are being made again." if failed or len(edits) > 1 else "The item is being made again."
                )
                session.follow(batch, Awaited(before) if before is not None and not failed else None)
        except InUse as use:
            with BatchFolder(path, shared=True) as folder:
                _retried(settings, client, _batch_in(folder, settings), edits, failed)
            settings.say(f"{use.fact}, and saves the new pictures as well.")


def _without_folder(settings: Settings, client: Client, batch_id: str, edits: Edits, failed: bool) -> None:
    batch = _retried(settings, client, batch_id, edits, failed)
    settings.session.show(batch, batch.batch_id)
    settings.say(f"To save the pictures: imagefleet batch {batch.batch_id} --output FOLDER")


def _batch_in(folder: BatchFolder, settings: Settings) -> str:
    folder.check_server(settings.server)
    if folder.batch_id is None:
        raise FolderError(f"{folder.path} holds no batch yet: run the command again that names the list.")
    return folder.batch_id


def _retried(settings: Settings, client: Client, batch_id: str, edits: Edits, failed: bool) -> Batch:
    try:
        return patiently(
            lambda: client.retry_batch(batch_id, edits or None, status="failed" if failed else None),
            settings.patience_s,
            lambda error, _: settings.say(trouble(error)),
            if_unsent=False,
            if_unknown=False,
        )
    except ConnectionLost as error:
        again = f"imagefleet batch {shlex.quote(batch_id)}"
        fail(f"{error.detail} The server may have begun: look with {again} before you try again.", UNREACHABLE)
    except InvalidRequest as error:
        reasons = [f"{_name_of(edits, each.line)}: {each.reason}" for each in error.errors]
        fail(" ".join(reasons) or error.detail, FAILED)


def _name_of(edits: Edits, number: int | None) -> str:
    """The item that an error is about: it counts those that were named."""
    if number is None or not 0 < number <= len(edits):
        return "An item"
    edit = edits[number - 1]
    return f"Item {edit.get('index') or edit.get('customId')}"


def _newest(folder: BatchFolder, edits: Edits) -> dict[int, str] | None:
    """The numbers of the items with their requests so far; None if the folder does not know them all."""
    found: dict[int, str] = {}
    for edit in edits:
        number = edit.get("index") or folder.ledger.number_of(str(edit.get("customId")))
        entry = None if number is None else folder.ledger.find(int(number))
        if entry is None:
            return None
        found[entry.number] = entry.request_id
    return found
