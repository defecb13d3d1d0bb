"""`imagefleet get`."""

from __future__ import annotations

from pathlib import Path

import click

from imagefleet.commands.results import prepare, show_result, wait_for
from imagefleet.options import ID, OUTPUT, TIMEOUT, WAIT
from imagefleet.session import Session, shared_options


@click.command()
@ID
@WAIT
@TIMEOUT
@OUTPUT
@shared_options
def get(session: Session, request_id: str, wait: bool, timeout: float | None, output: Path | None) -> None:
    """Print or save the pictures of a request.

    It prints their URLs, or with --output the files.
    """
    prepare(output)
    with session.connect() as client:
        waits = wait or timeout is not None
        result = wait_for(session, client, request_id, timeout) if waits else client.get(request_id)
        show_result(session, client, result, output)
