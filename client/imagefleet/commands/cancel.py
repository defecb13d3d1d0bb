"""`imagefleet cancel`."""

from __future__ import annotations

import click

from imagefleet.options import ID
from imagefleet.session import Session, shared_options


@click.command()
@ID
@shared_options
def cancel(session: Session, request_id: str) -> None:
    """Cancel a request."""
    with session.connect() as client:
        answer = client.cancel(request_id)
        session.show(answer, answer.message or answer.status)
