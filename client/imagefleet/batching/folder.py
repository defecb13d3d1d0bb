"""The folder of a batch: whose it is, and what may be done in it."""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from imagefleet.batching.indexes import INDEXES, write_indexes
from imagefleet.batching.ledger import Ledger
from imagefleet.batching.locks import FileLock, Taken
from imagefleet.batching.names import digits_of
from imagefleet.models import Batch

_PICTURE = re.compile(r"\d{4,}(-.*)?\.(png|jpe?g|webp|gif|avif)", re.IGNORECASE)
_PART = re.compile(r"\d{4,}.*\.[0-9a-f]{8}\.part")
LEDGER, LOCK = ".imagefleet-batch.sqlite", ".imagefleet-batch.lock"


class FolderError(Exception):
    """The folder cannot be used for this; the message says why, and what to do."""


class InUse(FolderError):
    """Another command is at work in the folder. `fact` says so without advice."""

    def __init__(self, fact: str) -> None:
        super().__init__(f"{fact}: let it finish, or stop it.")
        self.fact = fact


def is_batch_folder(path: Path) -> bool:
    """True if a batch was submitted from, or fetched into, this folder."""
    return (path / LEDGER).is_file()


class BatchFolder:
    """The folder at `path`, which is made if it is missing; locked against others unless `shared`.

    Raises FolderError, InUse, Damaged, OSError. Close it, or use it in a `with`.
    """

    def __init__(self, path: Path, *, shared: bool = False) -> None:
        self.path = path
        _prepare(path)
        with ExitStack() as opened:
            if not shared:
                opened.callback(_locked(path).release)
            self.ledger = Ledger(path / LEDGER)
            opened.callback(self.ledger.close)
            self.facts = self.ledger.facts()
            self._opened = opened.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let others use it."""
        self._opened.close()

    @property
    def batch_id(self) -> str | None:
        """The batch that is in it; None if none was accepted yet."""
        return self.facts.get("batchId")

    @property
    def digits(self) -> int:
        """How many digits the numbers in its names have."""
        return int(self.facts.get("digits", digits_of(0)))

    def check_server(self, server: str) -> None:
        """Raises FolderError if its batch is on another server."""
        known = self.facts.get("server")
        if known is not None and normal(known) != normal(server):
            again = f" If that is the same server: imagefleet batch {self.batch_id} --output {self.path}"
            raise FolderError(
                f"{self.path} belongs to a batch on {known}, not on {server}: choose that with --server {known}, or another "
                f"--output.{again if self.batch_id else ''}"
            )

    def check_submission(self, content: bytes, options: Mapping[str, Any], source: str) -> None:
        """Raises FolderError if its batch was made of something else."""
        go_on = f"To go on with that batch: imagefleet batch {self.path}. To submit a new one, choose another --output."
        if self.facts.get("content") is None:
            raise FolderError(f"{self.path} holds the batch {self.batch_id}, which was fetched into it. {go_on}")
        if self.facts["content"] != fingerprint(content):
            raise FolderError(f"{source} is not the list that {self.path} was made from, or was changed since. {go_on}")
        changed = [name for name, value in self.facts["options"].items() if value != options.get(name)]
        changed += [name for name in options if name not in self.facts["options"]]
        if changed:
            was = self.facts["options"].get(changed[0])
            before = "was not given" if was is None else f"was {was}"
            raise FolderError(f"{self.path} was made with other options: --{changed[0]} {before}. {go_on}")

    def claim(self, server: str, content: bytes, options: Mapping[str, Any], changeable: Mapping[str, Any]) -> str:
        """Make the folder that of this submission; the key to submit it with, which is on the disk when this returns.

        A submission whose fate is unknown keeps its key, whatever the list is now: the server knows whether it has it.
        """
        if not self.facts:
            self._check_empty()
        key = self.facts.get("key") or secrets.token_urlsafe(24)
        self.record(
            key=key, server=server, content=fingerprint(content), options=dict(options), changeable=dict(changeable)
        )
        return key

    def disclaim(self) -> None:
        """The submission was refused: nothing is known of any batch."""
        self.record(key=None, server=None, content=None, options=None, changeable=None)

    def adopt(self, server: str, batch: Batch) -> None:
        """The folder holds this batch, which the server knows. Raises FolderError if it holds another."""
        if self.batch_id not in (None, batch.batch_id):
            raise FolderError(f"{self.path} holds the batch {self.batch_id}: choose another --output.")
        digits = self.facts.get("digits") or digits_of(batch.counts.total)
        self.record(server=server, batchId=batch.batch_id, digits=digits)

    def record(self, **facts: Any) -> None:
        """Keep these facts; one that is None is forgotten."""
        self.ledger.record(**facts)
        self.facts = {name: value for name, value in {**self.facts, **facts}.items() if value is not None}

    def remove_parts(self) -> None:
        """Remove what is left of downloads that were broken off and are not wanted any more. Raises OSError."""
        for part in self.path.glob("*.part"):
            if _PART.fullmatch(part.name):
                part.unlink(missing_ok=True)

    def write_indexes(self, batch: Batch) -> None:
        """Write the indexes of what is there. Raises OSError."""
        write_indexes(self.path, batch, self.ledger.entries)

    def _check_empty(self) -> None:
        taken = [name for name in INDEXES if (self.path / name).exists()]
        taken += [each.name for each in self.path.iterdir() if _PICTURE.fullmatch(each.name)]
        if taken:
            raise FolderError(
                f"{self.path} has a file {taken[0]} that would be overwritten: choose another --output, or move it away."
            )


def _locked(path: Path) -> FileLock:
    try:
        return FileLock(path / LOCK)
    except Taken as taken:
        who = f" (process {taken.holder})" if taken.holder else ""
        raise InUse(f"Another imagefleet{who} is at work in {path}") from None


def fingerprint(content: bytes) -> str:
    """Tells one list from another."""
    return hashlib.sha256(content).hexdigest()


def normal(address: str) -> str:
    """An address, written in one way."""
    parts = urlsplit(address)
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    return json.dumps([parts.scheme, parts.hostname, port, parts.path.rstrip("/")])


def _prepare(path: Path) -> None:
    """Make the folder, and check that files can be written in it. Raises OSError, which names it."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None
