"""`python -m app.manage`: manage users, keys, tokens and the fleet. A secret is shown once."""

import sys

import click

from app import logs
from app.config import Settings
from app.container import Services, build, real_ports
from app.launch.schema import migrate
from app.manage import extensions, tokens, users
from app.manage.console import escape_what_cannot_be_encoded


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.pass_context
def main(ctx: click.Context) -> None:
    """Manage users, their keys and tokens, and the extensions of a service.

    Run it where the service runs, with the same environment variables: DATABASE_URL says which database is changed.
    """
    escape_what_cannot_be_encoded()
    ctx.obj = _services


for each in (*users.COMMANDS, *tokens.COMMANDS, *extensions.COMMANDS):
    main.add_command(each)


def _services() -> Services:
    """Raises BadSetting, NotReady, Unavailable."""
    settings = Settings.from_env()
    migrate(settings)
    return build(real_ports(settings))


if __name__ == "__main__":
    logs.configure("info")  # on stderr: stdout gets results alone
    sys.exit(main())
