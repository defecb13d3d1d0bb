"""`python -m app.manage`: what an operator does about users, keys, tokens and the fleet. A secret is shown once."""

from __future__ import annotations

import sys

import click

from app.config import Settings
from app.container import Services, build, real_ports
from app.launch.schema import migrate
from app.manage import extensions, tokens, users


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.pass_context
def main(ctx: click.Context) -> None:
    """Make and end what others come in with, and look at the fleet.

    The service's own settings say which database that is in.
    """
    ctx.obj = _house


for each in (*users.COMMANDS, *tokens.COMMANDS, *extensions.COMMANDS):
    main.add_command(each)


def _house() -> Services:
    """Raises BadSetting, NotReady, Unavailable."""
    settings = Settings.from_env()
    migrate(settings)
    return build(real_ports(settings))


if __name__ == "__main__":
    sys.exit(main())
