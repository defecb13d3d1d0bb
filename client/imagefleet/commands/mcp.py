"""`imagefleet mcp`: offers the service to programs that speak the Model Context Protocol."""

from __future__ import annotations

import signal

from imagefleet.options import command
from imagefleet.output.exits import WRONG_USE, fail
from imagefleet.session import Session, valid_address

EXAMPLES = """
imagefleet mcp
imagefleet mcp --profile work
"""


@command("mcp", examples=EXAMPLES)
def mcp(session: Session) -> None:
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
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # nothing else interrupts a thread that reads stdin
    access = session.access
    with valid_address():
        anyio.run(serve, access.server, access.key)
