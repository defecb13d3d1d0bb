"""`imagefleet batch`: a night's work in one command."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from imagefleet.durations import METAVAR, seconds
from imagefleet.options import DOWNLOAD_CONCURRENCY, NIGHT_PATIENCE, command, parameters, texts, whole_days
from imagefleet.session import Session

if TYPE_CHECKING:
    from imagefleet.batching.places import Place

FORMATS = ("txt", "csv", "jsonl", "yaml", "json")

EXAMPLES = """
imagefleet batch chapter1.csv --style noir --concurrency 4 --output chapter-1
imagefleet batch prompts.txt --model dall-e-3 --param width=1024 --param seed=7
jq -c '.panels[]' book.json | imagefleet batch - --format jsonl --output book
imagefleet batch chapter-1          (goes on with the batch in that folder)
imagefleet batch BATCH_ID --output chapter-1
"""


@command("batch", examples=EXAMPLES)
@click.argument("source", metavar="LIST", required=False)
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for the pictures. Default: the list's name.",
)
@click.option(
    "--format", "list_format", type=click.Choice(FORMATS), help="Format of the list, if its name does not tell it."
)
@click.option("--resume", metavar="FOLDER|BATCH_ID", help="Go on with the batch of this folder, or fetch this batch.")
@click.option("--style", help="Style of the server for every item, such as noir.")
@click.option("--model", help="Model, for items that name none.")
@click.option(
    "--param",
    multiple=True,
    callback=parameters,
    metavar="NAME=VALUE",
    help="Parameter for every item; may be repeated.",
)
@click.option(
    "--var", multiple=True, callback=texts, metavar="NAME=VALUE", help="Variable of the style; may be repeated."
)
@click.option("--concurrency", type=click.IntRange(1, 1_000), help="How many items are worked on at once. Default: 32.")
@click.option("--name", help="Name of the batch, for people.")
@click.option("--priority", type=click.Choice(["high", "normal", "low", "idle"]), help="Place in the queue.")
@click.option("--keep", metavar="DAYS", callback=whole_days, help="For how many days the server keeps the pictures.")
@click.option(
    "--deadline", metavar=METAVAR, callback=seconds(1), help="How long an item may take from its release, such as 8h."
)
@click.option(
    "--cache",
    type=click.Choice(["off", "prefer", "only"]),
    help="Whether items may get pictures of identical requests.",
)
@click.option("--webhook", metavar="URL", help="Address for the events of the batch.")
@click.option("--user", help="User ID of the batch, where no key is needed.")
@click.option("--partial", is_flag=True, help="Take the valid items if others are invalid.")
@DOWNLOAD_CONCURRENCY
@click.option("--no-download", is_flag=True, help="Leave the pictures on the server.")
@click.option("--detach", is_flag=True, help="Submit, print the batch's ID, and do not wait.")
@NIGHT_PATIENCE
def batch(
    session: Session,
    source: str | None,
    output: Path | None,
    list_format: str | None,
    resume: str | None,
    download_concurrency: int,
    no_download: bool,
    detach: bool,
    patience: float,
    **options: Any,
) -> None:
    """Make a picture of each line of LIST, and save them in a folder with an index.

    LIST is a .txt, .csv, .jsonl, .yaml or .json file, or - for stdin. Of a folder that a batch is in, or of a batch's ID, the
    batch is gone on with. It is submitted once, however often the command is run; what is in the folder and whole is not
    fetched again.

    Ctrl-C leaves the batch running on the server; the same command goes on where it was. The exit code is 7 if some items
    failed.
    """
    from imagefleet.batching.command import Settings, go_on, start  # noqa: PLC0415 - slow to load

    settings = Settings(session, patience, download_concurrency, not no_download, detach)
    named = source or resume
    if named is None or (source and resume):
        raise click.UsageError("Name a list, a folder that a batch is in, or a batch's ID.")
    place = named_batch(named)
    if place is None:
        if resume:
            raise click.UsageError(f"{resume} is neither a folder nor the ID of a batch.")
        deadline_s = options["deadline"]
        options["deadline"] = None if deadline_s is None else int(deadline_s * 1000)
        start(settings, named, list_format, output or _folder_of(named), options)
        return
    given = next((name for name, value in options.items() if value not in (None, False, {}, ())), None)
    if given:
        raise click.UsageError(f"--{given} is for a new batch, but {named} exists already.")
    go_on(settings, place.batch_id, _folder_for(place, output))


def named_batch(text: str) -> Place | None:
    """The batch that exists and is named by this text, if it names one."""
    from imagefleet.batching.folder import FolderError  # noqa: PLC0415
    from imagefleet.batching.places import existing  # noqa: PLC0415

    try:
        return existing(text)
    except FolderError as error:
        raise click.UsageError(str(error)) from None


def _folder_of(source: str) -> Path:
    from imagefleet.batching.places import default_folder  # noqa: PLC0415

    folder = default_folder(source)
    if folder is None:
        raise click.UsageError("Say with --output where to save the pictures.")
    return folder


def _folder_for(place: Place, output: Path | None) -> Path:
    if place.folder is not None:
        if output is not None and output.resolve() != place.folder.resolve():
            raise click.UsageError(f"{place.folder} is the folder of its batch: leave --output out.")
        return place.folder
    return output or Path(f"batch-{place.batch_id}")
