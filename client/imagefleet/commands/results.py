"""Waiting for a request and showing what became of it, as several commands do."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from imagefleet.errors import TimedOut, Unreachable
from imagefleet.exits import NOT_FINISHED, fail
from imagefleet.session import Session
from imagefleet.terminal import describe, describe_picture, local_time, plain, show_progress

if TYPE_CHECKING:
    from imagefleet.client import Client
    from imagefleet.models import ImageRequest


def prepare(output: Path | None) -> None:
    """Check the folder before a picture is drawn that could not be saved."""
    if output is not None:
        from imagefleet.saving import prepare as prepare_folder  # noqa: PLC0415 - the HTTP library is slow to load

        prepare_folder(output)


def wait_for(session: Session, client: Client, request_id: str, timeout_s: float | None) -> ImageRequest:
    """Wait until the request has ended, with its progress on stderr. It continues if this ends earlier."""
    try:
        with show_progress(quiet=session.quiet) as progress:
            return client.wait(request_id, progress=progress.show, timeout_s=timeout_s, on_retry=progress.show_fault)
    except TimedOut as error:
        fail(f"{error.detail} Wait for it with `imagefleet watch {request_id}`.", NOT_FINISHED)
    except (KeyboardInterrupt, Unreachable):
        follow, stop = f"imagefleet watch {request_id}", f"imagefleet cancel {request_id}"
        click.echo(plain(f"The request continues: `{follow}` waits for it, `{stop}` cancels it."), err=True)
        raise


def show_result(session: Session, client: Client, result: ImageRequest, output: Path | None) -> None:
    """Print the files or URLs of the pictures, one per line, and on stderr how they were made.

    Exits with an error if the request is not completed, or if its pictures were removed.
    """
    from imagefleet.saving import save_all  # noqa: PLC0415 - the HTTP library is slow to load

    completed = result.status == "completed"
    saved = [str(file) for file in save_all(client, result, output)] if completed and output else []
    if session.form != "text":
        session.show(result, "")
    elif completed and result.pictures_removed_at is None:
        session.remark(f"Made with {describe_picture(result)}")
        for target in saved or [client.image_url(image) for image in result.images]:
            click.echo(plain(target))
    _exit_unless_there(result)


def _exit_unless_there(result: ImageRequest) -> None:
    if not result.is_final:
        why = f"Request {result.request_id} is not finished ({describe(result)}). Add --wait to wait for it."
        fail(why, NOT_FINISHED)
    if result.status != "completed":
        fail(f"Request {result.request_id} {describe(result)}")
    if result.pictures_removed_at is not None:
        fail(f"The pictures of request {result.request_id} were removed at {local_time(result.pictures_removed_at)}.")
