"""`imagefleet extension`: runs the reference extension."""

from __future__ import annotations

import click

from imagefleet.options import command
from imagefleet.session import Session

EXAMPLES = """
imagefleet extension --server http://localhost:3000 --concurrent 2
IMAGEFLEET_EXTENSION_TOKEN=... imagefleet extension --id painter --models dall-e-3,sdxl
"""


@command("extension", examples=EXAMPLES)
@click.option("--id", "extension_id", help="ID of the extension; unique by default.")
@click.option("--ws", "websocket_url", help="WebSocket URL; by default taken from the server.")
@click.option("--models", default="", help="Models it offers, such as dall-e-3,sdxl; all by default.")
@click.option(
    "--concurrent", type=click.IntRange(1, 64), default=1, show_default=True, help="Requests to work on at once."
)
@click.option(
    "--step-ms", type=click.IntRange(min=0), default=100, show_default=True, help="Pause after each progress report."
)
@click.option("--token", envvar="IMAGEFLEET_EXTENSION_TOKEN", help="Extension token, if the server requires one.")
def extension(
    session: Session,
    extension_id: str | None,
    websocket_url: str | None,
    models: str,
    concurrent: int,
    step_ms: int,
    token: str | None,
) -> None:
    """Run the reference extension.

    It draws pictures without a browser, until Ctrl-C or SIGTERM. Its pictures are small landscapes, for tests.
    """
    from imagefleet.extension import OPERATIONS, Extension, Settings  # noqa: PLC0415 - the socket is slow to load
    from imagefleet.extension.running import default_id, log_line, run_until_signal  # noqa: PLC0415 - the same

    named = tuple(name.strip() for name in models.split(",") if name.strip())
    chosen = Settings(
        session.access.server,
        extension_id or default_id(),
        websocket_url,
        named,
        concurrent,
        token,
        step_ms / 1000,
        operations=OPERATIONS,
    )
    try:
        worker = Extension(chosen, log_line)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    run_until_signal(worker)
