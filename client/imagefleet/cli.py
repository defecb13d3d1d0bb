"""The `imagefleet` command. Slow imports are made inside the commands that need them, so that --help is fast."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from imagefleet import fleet_command
from imagefleet.commands.batch import batch
from imagefleet.commands.retry import retry
from imagefleet.defaults import DEFAULT_URL, VERSION
from imagefleet.errors import TimedOut, Unreachable
from imagefleet.exits import CODES, NOT_FINISHED, errors_as_exit_codes, fail
from imagefleet.options import (
    ADDRESS,
    CACHE,
    GLOBAL_KEY,
    ID,
    JSON,
    OUTPUT,
    PATIENCE,
    SERVER,
    TIMEOUT,
    WAIT,
    WAIT_FOR_EXTENSION,
    parameters,
)
from imagefleet.server_access import connect, valid_address
from imagefleet.terminal import (
    describe,
    describe_picture,
    escape_what_cannot_be_encoded,
    local_time,
    plain,
    print_each,
    show_progress,
    tell_that_it_waits,
)
from imagefleet.wire import encode

if TYPE_CHECKING:
    from imagefleet.client import Client
    from imagefleet.models import Answer, CacheMode, ImageRequest


class Program(click.Group):
    """Ends every command with one of the documented exit codes."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the chosen command."""
        escape_what_cannot_be_encoded()
        with errors_as_exit_codes():
            return super().invoke(ctx)


@click.group(cls=Program, epilog=CODES, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(VERSION)
@click.option("--server", envvar="IMAGEFLEET_URL", default=DEFAULT_URL, show_default=True, help="The server's address.")
@GLOBAL_KEY
@click.pass_context
def main(ctx: click.Context, server: str) -> None:
    """Generate pictures with an Imagefleet server.

    Progress goes to stderr, results to stdout. The server's address is taken from --server or IMAGEFLEET_URL.
    """
    ctx.obj = server


@main.command()
@click.argument("prompt", nargs=-1, required=True)
@click.option("--model", help="Model, such as dall-e-3.")
@click.option("--width", type=int, help="Width in px.")
@click.option("--height", type=int, help="Height in px.")
@click.option("--quality", help="Quality, such as standard or hd.")
@click.option("--style", help="Style, such as natural or vivid.")
@click.option("--number", type=int, help="Number of pictures.")
@click.option(
    "--param", multiple=True, callback=parameters, metavar="NAME=VALUE", help="Any other parameter; may be repeated."
)
@click.option("--user", help="User ID of the request.")
@CACHE
@WAIT_FOR_EXTENSION
@PATIENCE
@WAIT
@TIMEOUT
@OUTPUT
@JSON
@SERVER
def generate(
    prompt: tuple[str, ...],
    model: str | None,
    width: int | None,
    height: int | None,
    quality: str | None,
    style: str | None,
    number: int | None,
    param: dict[str, Any],
    user: str | None,
    cache: CacheMode | None,
    deadline_s: float | None,
    patience: float,
    wait: bool,
    timeout: float | None,
    output: Path | None,
    as_json: bool,
    server: str,
) -> None:
    """Submit a request and print its ID.

    With --wait or --output it prints the pictures' URLs or files instead. The prompt needs no quotes.

    The request waits while the extensions that can do it are busy. If none of them is connected, it fails after a few
    minutes (5, unless the server's NO_EXTENSION_TIMEOUT_MS says otherwise); with --wait-for-extension it waits as long as
    you say.
    """
    _prepare(output)
    with connect(server) as fleet:
        accepted = fleet.submit(
            " ".join(prompt),
            model=model,
            width=width,
            height=height,
            quality=quality,
            number_of_images=number,
            parameters=param if style is None else {**param, "style": style},
            user_id=user,
            deadline_ms=None if deadline_s is None else round(deadline_s * 1000),
            cache=cache,
            refused_s=patience,
            on_retry=tell_that_it_waits,
        )
        if wait or output or timeout is not None:
            click.echo(plain(f"Request {accepted.request_id}"), err=True)
            _show_result(fleet, _wait_for(fleet, accepted.request_id, timeout), output, as_json)
        else:
            click.echo(_pretty(accepted) if as_json else plain(accepted.request_id))
            if accepted.waits_until is not None:
                click.echo(f"It waits for an extension until {local_time(accepted.waits_until)}.", err=True)


@main.command()
@ID
@JSON
@SERVER
def status(request_id: str, as_json: bool, server: str) -> None:
    """Print the status of a request."""
    with connect(server) as fleet:
        result = fleet.status(request_id)
        click.echo(_pretty(result) if as_json else describe(result))


@main.command()
@ID
@WAIT
@TIMEOUT
@OUTPUT
@JSON
@SERVER
def get(request_id: str, wait: bool, timeout: float | None, output: Path | None, as_json: bool, server: str) -> None:
    """Print or save the pictures of a request.

    It prints their URLs, or with --output the files.
    """
    _prepare(output)
    with connect(server) as fleet:
        waits = wait or timeout is not None
        result = _wait_for(fleet, request_id, timeout) if waits else fleet.get(request_id)
        _show_result(fleet, result, output, as_json)


@main.command("list")
@click.option("--user", help="Only this user's requests.")
@click.option("--status", "state", help="Only requests with this status, such as failed.")
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="Maximum number of results.")
@JSON
@SERVER
def list_requests(user: str | None, state: str | None, limit: int, as_json: bool, server: str) -> None:
    """List requests, newest first.

    Without --user these are all that you may see. With --json one object per line.
    """
    with connect(server) as fleet:
        found = itertools.islice(fleet.list(user_id=user, status=state, page_size=min(limit, 100)), limit)
        print_each((encode(each.raw) if as_json else _row(each) for each in found), none="No such request.")


@main.command()
@ID
@JSON
@SERVER
def cancel(request_id: str, as_json: bool, server: str) -> None:
    """Cancel a request."""
    with connect(server) as fleet:
        answer = fleet.cancel(request_id)
        click.echo(_pretty(answer) if as_json else plain(answer.message or answer.status))


@main.command()
@ID
@click.option("--after", type=int, help="Only events after this number.")
@JSON
@SERVER
def events(request_id: str, after: int | None, as_json: bool, server: str) -> None:
    """Print the events of a request as they happen.

    With --json one object per line.
    """
    with connect(server) as fleet:
        for each in fleet.stream(request_id, last_event_id=after):
            share = "" if each.progress is None else f" {each.progress} %"
            number = "" if each.seq is None else each.seq
            line = f"{number:>5}  {each.type}  {each.status or ''}{share}  {each.message or ''}"
            click.echo(encode(each.raw) if as_json else plain(line).rstrip())


@main.command()
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
@ADDRESS
def extension(
    extension_id: str | None,
    websocket_url: str | None,
    models: str,
    concurrent: int,
    step_ms: int,
    token: str | None,
    server: str,
) -> None:
    """Run the reference extension.

    It draws pictures without a browser, until Ctrl-C or SIGTERM. Its pictures are small landscapes, for tests.
    """
    from imagefleet.extension import OPERATIONS, Extension, Settings  # noqa: PLC0415 - the socket is slow to load
    from imagefleet.extension.running import default_id, log_line, run_until_signal  # noqa: PLC0415 - the same

    named = tuple(name.strip() for name in models.split(",") if name.strip())
    chosen = Settings(
        server,
        extension_id or default_id(),
        websocket_url,
        named,
        concurrent,
        token,
        step_ms / 1000,
        operations=OPERATIONS,
    )
    with valid_address():
        worker = Extension(chosen, log_line)
    run_until_signal(worker)


main.add_command(fleet_command.fleet)


def _row(found: ImageRequest) -> str:
    """A line of the list."""
    progress = f"{found.status:<11} {found.progress:>3} %"
    cells = (found.request_id, progress, describe_picture(found), found.metadata.prompt)
    return plain("  ".join(cell for cell in cells if cell))[:160]


def _prepare(output: Path | None) -> None:
    """Check the folder before a picture is drawn that could not be saved."""
    if output is not None:
        from imagefleet.saving import prepare  # noqa: PLC0415 - the HTTP library is slow to load

        prepare(output)


def _wait_for(fleet: Client, request_id: str, timeout_s: float | None) -> ImageRequest:
    try:
        with show_progress() as progress:
            return fleet.wait(request_id, progress=progress.show, timeout_s=timeout_s, on_retry=progress.show_fault)
    except TimedOut as error:
        fail(f"{error.detail} Wait for it with `imagefleet get {request_id} --wait`.", NOT_FINISHED)
    except (KeyboardInterrupt, Unreachable):
        follow, stop = f"imagefleet get {request_id} --wait", f"imagefleet cancel {request_id}"
        click.echo(plain(f"The request continues: `{follow}` waits for it, `{stop}` cancels it."), err=True)
        raise


def _show_result(fleet: Client, result: ImageRequest, output: Path | None, as_json: bool) -> None:
    """Print the files or URLs of the pictures, one per line, and on stderr how they were made.

    Exits with an error if the request is not completed, or if its pictures were removed.
    """
    from imagefleet.saving import save_all  # noqa: PLC0415 - the HTTP library is slow to load

    completed = result.status == "completed"
    saved = [str(file) for file in save_all(fleet, result, output)] if completed and output else []
    if as_json:
        click.echo(_pretty(result))
    elif completed and result.pictures_removed_at is None:
        click.echo(f"Made with {describe_picture(result)}", err=True)
        for target in saved or [fleet.image_url(image) for image in result.images]:
            click.echo(plain(target))
    if not result.is_final:
        fail(
            f"Request {result.request_id} is not finished ({describe(result)}). Add --wait to wait for it.",
            NOT_FINISHED,
        )
    if not completed:
        fail(f"Request {result.request_id} {describe(result)}")
    if result.pictures_removed_at is not None:
        fail(f"The pictures of request {result.request_id} were removed at {local_time(result.pictures_removed_at)}.")


def _pretty(answer: Answer) -> str:
    return json.dumps(answer.raw, indent=2)


main.add_command(batch)
main.add_command(retry)
