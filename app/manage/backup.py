"""Commands for backups."""

from pathlib import Path

import click

from app.adapters.store import LocalStore
from app.config import Settings
from app.container import real_store
from app.db import copies
from app.db.copies import CopyFailed
from app.manage.console import GetServices, command
from app.manage.storage import print_findings
from app.services.backup import Copied, copy_files

PICTURES = "pictures"
FOLDER = click.argument("folder", type=click.Path(file_okay=False, path_type=Path))


@command("backup")
@FOLDER
def backup(get_services: GetServices, folder: Path) -> None:
    """Copy the database and the pictures into a folder, while the service runs.

    The database comes first, so that every picture of it is in the backup unless it is removed meanwhile. Pictures that the folder
    has from an earlier backup are not copied again. The folder contains keys: protect it.
    """
    services = get_services()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        file = copies.save(services.settings.database_url, folder)
    except CopyFailed as failure:
        raise click.ClickException(str(failure)) from None
    click.echo(f"The database is copied to {file}.")
    _report(copy_files(services.ports.store, LocalStore(folder / PICTURES)))


@command("restore")
@FOLDER
@click.option("--force", is_flag=True, help="Replace what is in the database, and add to the pictures that are there.")
def restore(get_services: GetServices, folder: Path, force: bool) -> None:
    """Bring a backup back into the database and the storage of the settings. The service must be stopped.

    Refused while the service uses the database, and if there is something in them already. Afterwards rows and files are compared as by verify-storage.
    """
    settings = Settings.from_env()
    store = real_store(settings)
    empty = copies.is_empty(settings.database_url)
    if not force and not empty:
        raise click.ClickException("The database is not empty: name a new one in DATABASE_URL, or use --force.")
    if not empty and copies.is_in_use(settings.database_url, settings.hub_timeout_ms):
        raise click.ClickException(
            "The service uses the database: stop all of its processes first. If they have just been killed, try again in "
            f"{settings.hub_timeout_ms // 1000} seconds."
        )
    if not force and next(store.names(), None) is not None:
        raise click.ClickException("There are pictures in the storage already: name a new one, or use --force.")
    try:
        copies.load(settings.database_url, folder)
    except CopyFailed as failure:
        raise click.ClickException(str(failure)) from None
    _report(copy_files(LocalStore(folder / PICTURES), store))
    if print_findings(get_services().verification, repair=False, deep=False):
        click.echo("See docs/retention.md for what these mean; verify-storage --repair repairs what can be.", err=True)


def _report(done: Copied) -> None:
    gone = f", {done.removed} were removed meanwhile" if done.removed else ""
    click.echo(f"{done.copied} files of pictures are copied, {done.present} were there already{gone}.")


COMMANDS = (backup, restore)
