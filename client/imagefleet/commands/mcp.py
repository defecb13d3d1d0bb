"""`imagefleet mcp`: offers the service to programs that speak the Model Context Protocol."""

from __future__ import annotations

import click

from imagefleet.exits import WRONG_USE, fail
from imagefleet.session import access_of, valid_address


@click.command()
@click.option("--server", metavar="URL", help="The server's address (IMAGEFLEET_URL).")
@click.option("--key", help="API key or token (IMAGEFLEET_API_KEY). Other users of the machine may see it here.")
@click.option("--profile", metavar="NAME", help="Which login to use (IMAGEFLEET_PROFILE).")
def mcp(server: str | None, key: str | None, profile: str | None) -> None:
    """Offer the service as tools to a program that speaks MCP.

    It speaks the Model Context Protocol on stdin and stdout until stdin ends; programs start it themselves. Its log goes to
    stderr. It needs the extra: pip install 'imagefleet[mcp]'.
    """
    try:
        import anyio  # noqa: PLC0415 - the SDK is slow to load

        from imagefleet.mcp_server.server import serve  # noqa: PLC0415 - it may not be installed
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("mcp"):
            raise
        fail(
            "`imagefleet mcp` needs version 2 of the MCP SDK: pip install 'imagefleet[mcp]', or in a copy of the source "
            "pip install './client[mcp]'.",
            WRONG_USE,
        )
    access = access_of(server, key, profile)
    with valid_address():
        anyio.run(serve, access.server, access.key)
