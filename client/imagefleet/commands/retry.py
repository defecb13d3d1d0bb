"""`imagefleet retry`: items of a batch again, in their places."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from imagefleet.commands.batch import named_batch
from imagefleet.options import DOWNLOAD_CONCURRENCY, NIGHT_PATIENCE, command, parameters
from imagefleet.session import Session

EXAMPLES = """
imagefleet retry chapter-1                       (all that failed)
imagefleet retry chapter-1 --item 17 --prompt "The keeper burns a letter" --param seed=7
imagefleet retry chapter-1 --item panel-3 --item panel-4
imagefleet retry BATCH_ID --failed --detach
"""


@command("retry", examples=EXAMPLES)
@click.argument("batch", metavar="FOLDER|BATCH_ID")
@click.option(
    "--item",
    "items",
    multiple=True,
    metavar="NUMBER|ID",
    help="An item by its number or its customId; may be repeated.",
)
@click.option("--failed", is_flag=True, help="All that failed; so it is without --item.")
@click.option("--prompt", help="Another prompt for this item.")
@click.option(
    "--param", multiple=True, callback=parameters, metavar="NAME=VALUE", help="Another parameter; may be repeated."
)
@click.option(
    "--output", type=click.Path(file_okay=False, path_type=Path), help="With a batch's ID: the folder for its pictures."
)
@DOWNLOAD_CONCURRENCY
@click.option("--detach", is_flag=True, help="Do not wait for the pictures.")
@NIGHT_PATIENCE
def retry(
    session: Session,
    batch: str,
    items: tuple[str, ...],
    failed: bool,
    prompt: str | None,
    param: dict[str, Any],
    output: Path | None,
    download_concurrency: int,
    detach: bool,
    patience: float,
) -> None:
    """Make items of a batch again: those that failed, or those named, with another prompt or parameters if you like.

    The new picture takes the place of the old one in the folder once it is there, and the indexes follow.
    """
    from imagefleet.batching.command import Settings  # noqa: PLC0415 - slow to load
    from imagefleet.batching.retrying import retry_items  # noqa: PLC0415 - the same

    if (prompt is not None or param) and not items:
        raise click.UsageError("Name with --item what the other prompt or parameters are for.")
    place = named_batch(batch)
    if place is None:
        raise click.UsageError(f"{batch} is neither a folder that a batch is in nor the ID of one.")
    settings = Settings(session, patience, download_concurrency, detach=detach)
    change = {"prompt": prompt, "parameters": param or None}
    edits = [{**_named(item), **{name: value for name, value in change.items() if value is not None}} for item in items]
    retry_items(settings, place.batch_id, place.folder or output, edits, failed=failed or not items)


def _named(item: str) -> dict[str, Any]:
    """An item as the server is told of it."""
    return {"index": int(item)} if item.isascii() and item.isdigit() else {"customId": item}
