"""`imagefleet watch`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from imagefleet.commands.results import prepare, show_result, wait_for
from imagefleet.options import ID, OUTPUT, TIMEOUT
from imagefleet.session import Session, shared_options

if TYPE_CHECKING:
    from imagefleet.models import Event

EXAMPLES = """\b
Examples:
  imagefleet watch ID --output pictures
  imagefleet watch ID --events --jsonl"""


@click.command(epilog=EXAMPLES)
@ID
@TIMEOUT
@OUTPUT
@click.option("--events", is_flag=True, help="Print every event of the request, from its first one, as it happens.")
@click.option("--after", type=int, metavar="NUMBER", help="With --events: only those after this number.")
@shared_options
def watch(
    session: Session, request_id: str, timeout: float | None, output: Path | None, events: bool, after: int | None
) -> None:
    """Follow a request until it has ended, and print or save its pictures."""
    prepare(output)
    with session.connect() as client:
        if events or after is not None:
            session.show_each(client.stream(request_id, last_event_id=after), _line, none="There are no more events.")
        else:
            show_result(session, client, wait_for(session, client, request_id, timeout), output)


def _line(event: Event) -> str:
    share = "" if event.progress is None else f" {event.progress} %"
    number = "" if event.seq is None else event.seq
    return f"{number:>5}  {event.type}  {event.status or ''}{share}  {event.message or ''}"
