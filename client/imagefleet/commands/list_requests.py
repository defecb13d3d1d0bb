"""`imagefleet list`: lists requests."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING

import click

from imagefleet.options import LIMIT, USER, command
from imagefleet.output.tables import Column
from imagefleet.output.terminal import describe_picture
from imagefleet.session import Session
from imagefleet.times import moment

if TYPE_CHECKING:
    from imagefleet.models import ImageRequest

EXAMPLES = """
imagefleet list
imagefleet list --status failed --since 12h
imagefleet list --since 2024-01-14 --until 2024-01-15 --limit 1000 --jsonl | jq -r .requestId
imagefleet list --variations-of 550e8400-e29b-41d4-a716-446655440000
"""
COLUMNS = (
    Column("ID"),
    Column("CREATED", optional=True),
    Column("STATUS"),
    Column("%", right=True, optional=True),
    Column("MADE WITH", optional=True),
    Column("PROMPT", shrinks=True),
)
STATUSES = ("accepted", "processing", "downloading", "completed", "failed", "cancelled")


@command("list", examples=EXAMPLES)
@USER
@click.option("--status", "state", type=click.Choice(STATUSES), help="Only requests with this status.")
@click.option("--variations-of", "parent_id", metavar="ID", help="Only requests made from a picture of this one.")
@click.option(
    "--since",
    metavar="TIME",
    callback=moment,
    help="Only requests from then on: 2d, 12h, 2024-01-14 or 2024-01-14T18:00.",
)
@click.option("--until", metavar="TIME", callback=moment, help="Only requests before that time.")
@LIMIT
def list_requests(
    session: Session,
    user: str | None,
    state: str | None,
    parent_id: str | None,
    since: datetime | None,
    until: datetime | None,
    limit: int,
) -> None:
    """List requests, newest first.

    Without --user these are all that you may see. Times are those of your time zone.
    """
    with session.connect() as client:
        found = client.list(user_id=user, status=state, parent_id=parent_id, page_size=min(limit, 100))
        chosen = itertools.islice(_between(found, since, until), limit)
        session.show_each(chosen, COLUMNS, _row, none="No such request.")


def _between(found: Iterable[ImageRequest], since: datetime | None, until: datetime | None) -> Iterator[ImageRequest]:
    """Those that were created in this time; the list is read no further than that."""
    for each in found:
        created = each.created_at
        if created is not None and since is not None and created < since:
            return
        if created is None or until is None or created < until:
            yield each


def _row(found: ImageRequest) -> tuple[object, ...]:
    created = None if found.created_at is None else f"{found.created_at.astimezone():%Y-%m-%d %H:%M}"
    return found.request_id, created, found.status, found.progress, describe_picture(found), found.metadata.prompt
