"""`python -m app.manage`: manage users, keys, tokens, the fleet and the queue. A secret is shown once."""

import sys
from pathlib import Path

import click

from app import logs
from app.config import Settings
from app.container import Services, build, real_ports
from app.launch.checks import sqlite_file
from app.launch.schema import migrate
from app.manage import backup, doctor, extensions, personal_data, queue, reports, storage, tokens, users, webhooks
from app.manage.console import escape_what_cannot_be_encoded
from app.manage.settings import service_settings


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.pass_context
def main(ctx: click.Context) -> None:
    """Manage users, their keys and tokens, and the extensions and the queue of a service.

    Run it where the service runs, with the same environment variables: DATABASE_URL says which database is changed.
    """
    escape_what_cannot_be_encoded()
    ctx.obj = _services


for each in (
    *users.COMMANDS,
    *tokens.COMMANDS,
    *extensions.COMMANDS,
    *queue.COMMANDS,
    *webhooks.COMMANDS,
    *storage.COMMANDS,
    *backup.COMMANDS,
    *personal_data.COMMANDS,
    *doctor.COMMANDS,
    *reports.COMMANDS,
):
    main.add_command(each)


def _services() -> Services:
    """Raises BadSetting, NotReady, Unavailable."""
    settings = service_settings()
    new_file = _missing_file(settings)
    migrate(settings)
    if new_file is not None:
        click.echo(f"Created the database {new_file}. If the service uses another one, set its DATABASE_URL.", err=True)
    return build(real_ports(settings))


def _missing_file(settings: Settings) -> Path | None:
    """The file of a SQLite database that does not exist yet, perhaps because the command runs in another folder."""
    file = sqlite_file(settings.database_url) if settings.is_sqlite else None
    return None if file is None or file.exists() else file


if __name__ == "__main__":
    logs.configure("info")  # on stderr: stdout gets results alone
    sys.exit(main())
