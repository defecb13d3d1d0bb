"""Waiting for a request and showing what became of it, as several commands do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from imagefleet.errors import NotFound, TimedOut, Unreachable
from imagefleet.output.exits import NOT_FINISHED, fail
from imagefleet.output.terminal import describe, describe_picture, echo, local_time, plain, show_progress
from imagefleet.session import Session

if TYPE_CHECKING:
    from imagefleet.client import Client
    from imagefleet.models import Batch, ImageRequest

T = TypeVar("T")


def prepare(output: Path | None, pictures: int = 1) -> None:
    """Check the folder before a picture is drawn that could not be saved."""
    if output is not None:
        from imagefleet.saving import prepare as prepare_folder  # noqa: PLC0415 - the HTTP library is slow to load

        prepare_folder(output, pictures)


def either(of_request: Callable[[], T], of_batch: Callable[[], T]) -> T:
    """What one of them returns: the ID may be that of a request or of a batch. Raises NotFound if it is neither."""
    try:
        return of_request()
    except NotFound as neither:
        try:
            return of_batch()
        except NotFound:
            raise neither from None


def wait_for(session: Session, client: Client, request_id: str, timeout_s: float | None) -> ImageRequest:
    """Wait until the request has ended, with its progress on stderr. It continues if this ends earlier."""
    with _saying_how_to_come_back(request_id), show_progress(quiet=session.quiet) as progress:
        return client.wait(request_id, progress=progress.show, timeout_s=timeout_s, on_retry=progress.show_fault)


def wait_for_batch(session: Session, client: Client, batch_id: str, timeout_s: float | None) -> Batch:
    """The same of a batch."""
    with _saying_how_to_come_back(batch_id), show_progress(quiet=session.quiet) as progress:
        return client.wait_batch(
            batch_id, progress=progress.show_batch, timeout_s=timeout_s, on_retry=progress.show_fault
        )


@contextmanager
def _saying_how_to_come_back(name: str) -> Iterator[None]:
    follow, stop = f"imagefleet watch {name}", f"imagefleet cancel {name}"
    try:
        yield
    except TimedOut as error:
        fail(f"{error.detail} Wait for it with `{follow}`.", NOT_FINISHED)
    except (KeyboardInterrupt, Unreachable):
        echo(plain(f"It continues: `{follow}` waits for it, `{stop}` cancels it."), err=True)
        raise


def show_result(session: Session, client: Client, result: ImageRequest, output: Path | None) -> None:
    """Print the files or URLs of the pictures, one per line, and on stderr how they were made.

    Exits with an error if the request is not completed, or if its pictures were removed.
    """
    from imagefleet.saving import save_all  # noqa: PLC0415 - the HTTP library is slow to load

    has_pictures = result.status == "completed" and result.pictures_removed_at is None
    saved = [str(file) for file in save_all(client, result, output)] if has_pictures and output else []
    if session.form != "text":
        session.show(result)
    elif has_pictures:
        session.remark(f"Made with {describe_picture(result)}")
        for target in saved or [client.image_url(image) for image in result.images]:
            session.line(target)
    exit_unless_there(result)


def exit_unless_there(result: ImageRequest) -> None:
    """End the command with a sentence if there are no pictures."""
    if not result.is_final:
        what = f"Request {result.request_id} is not finished ({describe(result)})."
        fail(f"{what} Wait for it with `imagefleet watch {result.request_id}`.", NOT_FINISHED)
    if result.status != "completed":
        fail(f"Request {result.request_id} {describe(result)}")
    if result.pictures_removed_at is not None:
        fail(f"The pictures of request {result.request_id} were removed at {local_time(result.pictures_removed_at)}.")
