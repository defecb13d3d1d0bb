"""`imagefleet watch`: follows a request or a batch until it has ended."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from imagefleet.commands.results import either, prepare, show_result, wait_for, wait_for_batch
from imagefleet.options import ID, OUTPUT, TIMEOUT, command
from imagefleet.output.exits import FAILED, SOME_FAILED, WRONG_USE, fail
from imagefleet.output.terminal import describe_batch
from imagefleet.session import Session

if TYPE_CHECKING:
    from imagefleet.client import Client
    from imagefleet.models import Batch, BatchEvent, Event

EXAMPLES = """
imagefleet watch 550e8400-e29b-41d4-a716-446655440000
imagefleet watch 550e8400-e29b-41d4-a716-446655440000 --output pictures --timeout 10m
imagefleet watch 550e8400-e29b-41d4-a716-446655440000 --events --jsonl
"""


@command("watch", examples=EXAMPLES)
@ID
@TIMEOUT
@OUTPUT
@click.option("--events", is_flag=True, help="Print every event, from the first one, as it happens.")
@click.option("--after", type=int, metavar="NUMBER", help="With --events: only those after this number.")
def watch(
    session: Session, request_id: str, timeout: float | None, output: Path | None, events: bool, after: int | None
) -> None:
    """Follow a request until it has ended, and print or save its pictures. ID may also be that of a batch.

    Ctrl-C ends the watching, not the request. The pictures of a batch are saved by `imagefleet batch ID --output DIR`.
    """
    prepare(output)
    with session.connect() as client:
        if events or after is not None:
            either(
                lambda: _print_events(session, client.stream(request_id, last_event_id=after)),
                lambda: _print_events(session, client.stream_batch(request_id, last_event_id=after)),
            )
            return
        either(
            lambda: show_result(session, client, wait_for(session, client, request_id, timeout), output),
            lambda: _watch_batch(session, client, request_id, timeout, output),
        )


def _watch_batch(session: Session, client: Client, batch_id: str, timeout_s: float | None, output: Path | None) -> None:
    if output is not None:
        batch_id = client.get_batch(batch_id).batch_id
        fail(f"The pictures of a batch are saved by: imagefleet batch {batch_id} --output {output}", WRONG_USE)
    _show_batch(session, wait_for_batch(session, client, batch_id, timeout_s))


def _print_events(session: Session, events: Iterator[Event | BatchEvent]) -> None:
    if session.form != "text":
        session.show_each(events, (), lambda _: (), none="")
        return
    for event in events:
        session.line(_line(event))


def _line(event: Event | BatchEvent) -> str:
    number = "" if event.seq is None else event.seq
    status, progress, message = (getattr(event, name, None) for name in ("status", "progress", "message"))
    parts = (f"{number:>5}", event.type, status, None if progress is None else f"{progress} %", message)
    return "  ".join(str(part) for part in parts if part)


def _show_batch(session: Session, batch: Batch) -> None:
    """Print how the batch ended. Exits with an error if it was cancelled or items failed."""
    session.show(batch, describe_batch(batch))
    if batch.status == "cancelled":
        fail(f"Batch {batch.batch_id} was cancelled.", FAILED)
    if batch.counts.completed < batch.counts.total:
        again = f"`imagefleet retry {batch.batch_id}` makes those that failed again."
        without = batch.counts.total - batch.counts.completed
        fail(f"{without} of {batch.counts.total} items have no pictures. {again}", SOME_FAILED)
