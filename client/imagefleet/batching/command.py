"""What `imagefleet batch` and `imagefleet retry` do: one session in the folder of a batch."""

from __future__ import annotations

import errno
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from imagefleet.batching.entries import Entry
from imagefleet.batching.folder import BatchFolder, FolderError
from imagefleet.batching.ledger import Damaged
from imagefleet.batching.lists import ListError, ListRefused, PromptList, read_list
from imagefleet.batching.patience import patiently
from imagefleet.batching.run import BatchRun, Screen
from imagefleet.batching.screens import JsonLines, Lines, Nothing, trouble
from imagefleet.batching.submitting import Submission, apply_changes, submit
from imagefleet.client import Client
from imagefleet.errors import ConnectionLost, ImagefleetError, NotFound
from imagefleet.models import Batch
from imagefleet.output.exits import FAILED, INTERRUPTED, NOT_SAVED, SOME_FAILED, WRONG_USE, fail
from imagefleet.output.terminal import echo, plain
from imagefleet.session import Session


@dataclass(frozen=True, slots=True)
class Settings:
    """How a command works, and what it shows."""

    session: Session
    patience_s: float
    savers: int = 4
    download: bool = True
    detach: bool = False

    @property
    def server(self) -> str:
        """The server's address."""
        return self.session.access.server

    def say(self, text: str) -> None:
        """Tell a person something."""
        self.session.remark(text)


class Awaited:
    """Items that are made again: their numbers with the requests that they were until now. What they become is in `entries`."""

    def __init__(self, before: Mapping[int, str]) -> None:
        self.entries: list[Entry] = []
        self._missing = dict(before)

    def add(self, entry: Entry) -> bool:
        """An item has ended. True once all of these have."""
        if self._missing.get(entry.number) not in (None, entry.request_id):
            del self._missing[entry.number]
            self.entries.append(entry)
        return not self._missing


def start(settings: Settings, source: str, list_format: str | None, path: Path, options: Mapping[str, Any]) -> None:
    """Submit the list unless that was done before, and save what becomes of it in the folder at `path`."""
    wanted = Submission(_read(source, list_format, path), options)
    with wrong_use(), open_session(settings, path) as session:
        session.folder.check_server(settings.server)
        if session.folder.batch_id is None:
            batch = session.submit(wanted)
        else:
            session.folder.check_submission(wanted.prompts.content, wanted.fixed, source)
            batch = session.change(session.known(), wanted)
        session.follow(batch)


def go_on(settings: Settings, batch_id: str | None, path: Path) -> None:
    """Save the pictures of a batch that exists: the one with this ID, or else the one in the folder."""
    with wrong_use(), open_session(settings, path) as session:
        if batch_id is None:
            session.folder.check_server(settings.server)
            if session.folder.batch_id is None:
                raise FolderError(f"Nothing in {path} was accepted yet: run the command again that names the list.")
            batch = session.known()
        else:
            batch = session.fetch(batch_id)
            session.folder.adopt(settings.server, batch)
        session.follow(batch)


@contextmanager
def open_session(settings: Settings, path: Path) -> Iterator[FolderSession]:
    """A session in the folder. Raises FolderError, InUse, OSError."""
    # How long to try again is said by `patience_s`, not by the library.
    with BatchFolder(path) as folder, settings.session.connect(patience_s=0) as client:
        yield FolderSession(settings, client, folder)


class FolderSession:
    """What one run of a command does."""

    def __init__(self, settings: Settings, client: Client, folder: BatchFolder) -> None:
        self.client = client
        self.folder = folder
        self._settings = settings

    def submit(self, wanted: Submission) -> Batch:
        """Submit the list."""
        settings = self._settings
        try:
            batch = submit(self.client, self.folder, settings.server, wanted, settings.patience_s, self.tell_trouble)
        except NotFound:
            fail(f"{settings.server} takes no batches: it is too old for this command, or is not an Imagefleet server.")
        except (ConnectionLost, KeyboardInterrupt):
            settings.say("The server may have the list. Run the same command again: it is accepted once.")
            raise
        settings.say(f"Submitted {batch.counts.total:,} items as batch {batch.batch_id}.")
        if batch.left_out:
            settings.say(f"{batch.left_out:,} items were left out:")
            for error in batch.errors:
                settings.say(f"  {wanted.prompts.describe(error)}")
        return batch

    def change(self, batch: Batch, wanted: Submission) -> Batch:
        """Change what can be changed of a batch that was submitted before."""
        return self._patiently(lambda: apply_changes(self.client, self.folder, batch, wanted))

    def known(self) -> Batch:
        """The batch of the folder."""
        return self.fetch(self.folder.batch_id or "")

    def fetch(self, batch_id: str) -> Batch:
        """The batch with this ID. Its server may be away for a while."""
        try:
            return self._patiently(lambda: self.client.get_batch(batch_id))
        except NotFound:
            fail(
                f"{self._settings.server} knows no batch {batch_id} that you may see: it may have been removed, or be of another "
                "server or user.",
                FAILED,
            )

    def follow(self, batch: Batch, awaited: Awaited | None = None) -> None:
        """Save its pictures as they are finished, and end the command; if items are `awaited`, once these are there.

        Otherwise the pictures that are there are checked, too.
        """
        settings = self._settings
        if settings.detach:
            settings.session.show(batch, batch.batch_id)
            settings.say(f"Come back with: {self._again}")
            return
        if awaited is None:
            self.folder.ledger.unsettle()
        with self._saying_how_to_come_back(), self._screen() as screen:
            batch = BatchRun(
                self.client,
                self.folder,
                batch,
                screen,
                savers=settings.savers,
                patience_s=settings.patience_s,
                download=settings.download,
                is_enough=(lambda _: False) if awaited is None else awaited.add,
            ).run()
        if settings.session.form == "json":
            settings.session.show(batch)
        if awaited is None:
            self._end(batch)
        else:
            self._end_of(awaited.entries)

    @property
    def _again(self) -> str:
        return f"imagefleet batch {shlex.quote(str(self.folder.path))}"

    @contextmanager
    def _screen(self) -> Iterator[Screen]:
        with self._screen_for_people() as screen:
            yield JsonLines(click.echo, screen) if self._settings.session.form == "jsonl" else screen

    @contextmanager
    def _screen_for_people(self) -> Iterator[Screen]:
        if self._settings.session.quiet:
            yield Nothing()
        elif sys.stderr.isatty():
            from imagefleet.batching.bar import shown  # noqa: PLC0415 - only a terminal needs rich

            with shown() as bar:
                yield bar
        else:
            yield Lines(self._settings.say)

    @contextmanager
    def _saying_how_to_come_back(self) -> Iterator[None]:
        try:
            yield
        except KeyboardInterrupt:
            self._settings.say(f"The batch goes on without this command. Come back with: {self._again}")
            raise click.exceptions.Exit(INTERRUPTED) from None
        except NotFound:
            fail(
                f"{self._settings.server} does not know the batch {self.folder.batch_id} any more, or is too old to say what becomes "
                "of its items."
            )
        except ImagefleetError:
            self._settings.say(f"The batch goes on without this command. Come back with: {self._again}")
            raise
        except OSError as error:
            if error.errno == errno.EPIPE:
                raise
            fail(
                f"Cannot write {error.filename or self.folder.path}: {error.strerror or error}. The batch goes on; make room or "
                f"change the rights, and come back with: {self._again}",
                NOT_SAVED,
            )

    def _end(self, batch: Batch) -> None:
        settings, index = self._settings, self.folder.path / "index.html"
        if settings.session.form == "text":
            echo(plain(str(index)))
        problems = sum(bool(entry.problems) for entry in self.folder.ledger.entries())
        counts = batch.counts
        parts = {"failed": counts.failed, "cancelled": counts.cancelled, "without all pictures": problems}
        others = "".join(f", {number:,} {words}" for words, number in parts.items() if number)
        settings.say(f"{counts.completed:,} of {counts.total:,} completed{others}. {index} shows them.")
        if counts.failed:
            settings.say(f"Try the failed ones again with: imagefleet retry {shlex.quote(str(self.folder.path))}")
        if batch.status == "cancelled":
            raise click.exceptions.Exit(FAILED)
        if any(parts.values()):
            raise click.exceptions.Exit(SOME_FAILED)

    def _end_of(self, entries: list[Entry]) -> None:
        for entry in entries:
            if self._settings.session.form == "text":
                for name in entry.files if entry.is_whole else ():
                    echo(plain(str(self.folder.path / name)))
        if not all(entry.is_whole for entry in entries):
            raise click.exceptions.Exit(SOME_FAILED)

    def _patiently(self, attempt: Callable[[], Batch]) -> Batch:
        return patiently(attempt, self._settings.patience_s, self.tell_trouble)

    def tell_trouble(self, error: ImagefleetError, _pause_s: float) -> None:
        """Say what is tried again."""
        self._settings.say(trouble(error))


def _read(source: str, list_format: str | None, path: Path) -> PromptList:
    with wrong_use():
        try:
            return read_list(source, list_format)
        except OSError as error:
            more = (
                f" To go on with the batch in {path}: imagefleet batch {path}" if (path / "index.json").exists() else ""
            )
            raise ListError(f"Cannot read {source}: {error.strerror}.{more}") from None


@contextmanager
def wrong_use() -> Iterator[None]:
    """What is wrong with a list or a folder ends the command with a sentence."""
    try:
        yield
    except (ListError, FolderError, Damaged) as error:
        first, *more = str(error).splitlines()
        echo(f"imagefleet: {plain(first)}", err=True)
        for line in more:
            echo(plain(line), err=True)
        raise click.exceptions.Exit(FAILED if isinstance(error, ListRefused) else WRONG_USE) from None
