"""`imagefleet list`."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import click

from imagefleet.session import Session, shared_options
from imagefleet.terminal import describe_picture

if TYPE_CHECKING:
    from imagefleet.models import ImageRequest


@click.command("list")
@click.option("--user", help="Only this user's requests.")
@click.option("--status", help="Only requests with this status, such as failed.")
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="Maximum number of results.")
@shared_options
def list_requests(session: Session, user: str | None, status: str | None, limit: int) -> None:
    """List requests, newest first. Without --user these are all that you may see."""
    with session.connect() as client:
        found = client.list(user_id=user, status=status, page_size=min(limit, 100))
        session.show_each(itertools.islice(found, limit), _row, none="No such request.")


def _row(found: ImageRequest) -> str:
    progress = f"{found.status:<11} {found.progress:>3} %"
    cells = (found.request_id, progress, describe_picture(found), found.metadata.prompt)
    return "  ".join(cell for cell in cells if cell)[:160]
