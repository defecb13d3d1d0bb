"""`imagefleet status`."""

from __future__ import annotations

import click

from imagefleet.options import ID
from imagefleet.session import Session, shared_options
from imagefleet.terminal import describe


@click.command()
@ID
@shared_options
def status(session: Session, request_id: str) -> None:
    """Print the status of a request in one line."""
    with session.connect() as client:
        result = client.status(request_id)
        session.show(result, describe(result))
