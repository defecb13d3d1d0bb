"""The `imagefleet` command: its list of commands, and the options that hold for all of them."""

from __future__ import annotations

from typing import Any

import click

from imagefleet.defaults import VERSION
from imagefleet.lazy_group import LazyGroup
from imagefleet.output.exits import CODES, errors_as_exit_codes
from imagefleet.output.terminal import escape_what_cannot_be_encoded
from imagefleet.session import Session, shared_options

_AT = "imagefleet.commands"
COMMANDS = {
    "login": (f"{_AT}.login:login", "Keep the server's address and your key."),
    "logout": (f"{_AT}.login:logout", "Forget them."),
    "generate": (f"{_AT}.generate:generate", "Submit a request for pictures."),
    "batch": (f"{_AT}.batch:batch", "Make a picture of each line of a list, and save them in a folder."),
    "retry": (f"{_AT}.retry:retry", "Make items of a batch again, in their places."),
    "watch": (f"{_AT}.watch:watch", "Follow a request or a batch until it has ended."),
    "get": (f"{_AT}.get:get", "Print or save the pictures of a request."),
    "list": (f"{_AT}.list_requests:list_requests", "List requests, newest first."),
    "cancel": (f"{_AT}.cancel:cancel", "Cancel a request."),
    "open": (f"{_AT}.open:open_pictures", "Show the pictures of a request."),
    "queue": (f"{_AT}.queue:queue", "Tell what waits, why, and for how long."),
    "styles": (f"{_AT}.styles:styles", "List, show, define and remove styles."),
    "models": (f"{_AT}.models:models", "List the models that can make pictures now."),
    "webhooks": (f"{_AT}.webhooks:webhooks", "Have events sent to an address of yours."),
    "fleet": (f"{_AT}.fleet:fleet", "List the extensions, for operators."),
    "doctor": (f"{_AT}.doctor:doctor", "Find out what is broken, and what to do."),
    "extension": (f"{_AT}.extension:extension", "Run the reference extension."),
    "mcp": (f"{_AT}.mcp:mcp", "Offer the service as tools to a program that speaks MCP."),
    "completion": (f"{_AT}.completion:completion", "Make a shell complete commands and options."),
}


class Program(LazyGroup):
    """Ends every command with one of the documented exit codes."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the chosen command."""
        escape_what_cannot_be_encoded()
        with errors_as_exit_codes():
            return super().invoke(ctx)


@click.group(
    cls=Program,
    lazy=COMMANDS,
    epilog=CODES,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(VERSION)
@shared_options
def main(_session: Session) -> None:
    """Generate pictures with an Imagefleet server.

    Results go to stdout, progress and remarks to stderr. The server's address and the key come from --server and --key, or from
    IMAGEFLEET_URL and IMAGEFLEET_API_KEY, or from what `imagefleet login` has kept.
    """
