"""`imagefleet open`: shows pictures in the person's viewer."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import click

from imagefleet.commands.results import exit_unless_there, prepare
from imagefleet.options import ID, command
from imagefleet.output.exits import fail
from imagefleet.session import Session

EXAMPLES = """
imagefleet open 550e8400-e29b-41d4-a716-446655440000
imagefleet open 550e8400-e29b-41d4-a716-446655440000 --picture 2
"""


@command("open", examples=EXAMPLES)
@ID
@click.option("--picture", type=click.IntRange(min=1), help="Only this one of its pictures, counted from 1.")
def open_pictures(session: Session, request_id: str, picture: int | None) -> None:
    """Show the pictures of a request in your viewer.

    They are downloaded once into a cache folder, whose files you may remove, and their names are printed.
    """
    from imagefleet.saving import save_all  # noqa: PLC0415 - the HTTP library is slow to load

    folder = cache_folder() / "pictures"
    prepare(folder)
    with session.connect() as client:
        result = client.get(request_id)
        exit_unless_there(result)
        chosen = result.images if picture is None else result.images[picture - 1 : picture]
        if not chosen:
            fail(f"Request {request_id} has {len(result.images)} pictures, none with the number {picture}.")
        files = save_all(client, result.model_copy(update={"images": chosen}), folder)
    if session.form != "text":
        session.show(result)
    for file in files:
        session.line(str(file))
    for file in files:
        if not show(file):
            fail(
                "There is no program here that shows pictures. Open the file yourself; on Linux, xdg-utils has xdg-open."
            )


def cache_folder() -> Path:
    """The folder of this system for what can be fetched again; IMAGEFLEET_CACHE_DIR names another one."""
    home = Path.home()
    usual = {"darwin": home / "Library" / "Caches", "win32": Path(os.environ.get("LOCALAPPDATA") or home)}
    fallback = Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache")
    return Path(os.environ.get("IMAGEFLEET_CACHE_DIR") or usual.get(sys.platform, fallback) / "imagefleet")


def show(file: Path) -> bool:
    """Open the file with the program that the person chose for pictures. False if there is none."""
    if sys.platform in ("darwin", "win32"):
        return click.launch(str(file)) == 0
    if shutil.which("xdg-open") is None:
        return False
    # click.launch does not wait for xdg-open here, which alone knows whether there is a viewer.
    ended = subprocess.run(["xdg-open", str(file)], check=False, stdin=subprocess.DEVNULL, capture_output=True)
    return ended.returncode == 0
