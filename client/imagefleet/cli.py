"""The `imagefleet` command. What takes long to load is loaded by the commands that need it, so that --help is quick."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from imagefleet import fleet_command
from imagefleet.answers import COMPLETED, GeneratedImage
from imagefleet.asking import fleet_at, valid_address
from imagefleet.defaults import DEFAULT_URL, VERSION
from imagefleet.exits import CODES, NOT_FINISHED, fail, told_in_a_sentence
from imagefleet.options import ID, JSON, KEY_OF_ALL, OUTPUT, SERVER, TIMEOUT, WAIT, parameters
from imagefleet.terminal import plain, shown_progress, words
from imagefleet.wire import encode, wire

if TYPE_CHECKING:
    from imagefleet.client import Imagefleet


class Program(click.Group):
    """Every command ends in one of the documented ways."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the chosen command."""
        with told_in_a_sentence():
            return super().invoke(ctx)


@click.group(cls=Program, epilog=CODES, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(VERSION)
@click.option("--server", envvar="IMAGEFLEET_URL", default=DEFAULT_URL, show_default=True, help="The server's address.")
@KEY_OF_ALL
@click.pass_context
def main(ctx: click.Context, server: str) -> None:
    """Ask an Imagefleet server for pictures.

    Progress goes to stderr, results to stdout. The server's address is taken from --server or IMAGEFLEET_URL.
    """
    ctx.obj = server


@main.command()
@click.argument("prompt", nargs=-1, required=True)
@click.option("--model", help="Who is to draw, such as dall-e-3.")
@click.option("--width", type=int, help="In px.")
@click.option("--height", type=int, help="In px.")
@click.option("--quality", help="Such as standard or hd.")
@click.option("--style", help="Such as natural or vivid.")
@click.option("--number", type=int, help="How many pictures.")
@click.option("--param", multiple=True, callback=parameters, metavar="NAME=VALUE", help="Any other parameter.")
@click.option("--user", help="Whose request it is.")
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
    wait: bool,
    timeout: float | None,
    output: Path | None,
    as_json: bool,
    server: str,
) -> None:
    """Submit a request; its words need no quotes. Prints its ID, or with --wait or --output its pictures."""
    with fleet_at(server) as fleet:
        accepted = fleet.generate(
            " ".join(prompt),
            model=model,
            width=width,
            height=height,
            quality=quality,
            style=style,
            number_of_images=number,
            parameters=param,
            user_id=user,
        )
        if wait or output or timeout is not None:
            click.echo(plain(f"Request {accepted.request_id}"), err=True)
            _show_result(fleet, _followed(fleet, accepted.request_id, timeout), output, as_json)
        else:
            click.echo(_pretty(accepted) if as_json else plain(accepted.request_id))


@main.command()
@ID
@JSON
@SERVER
def status(request_id: str, as_json: bool, server: str) -> None:
    """Tell how far a request is."""
    with fleet_at(server) as fleet:
        found = fleet.status(request_id)
        click.echo(_pretty(found) if as_json else words(found))


@main.command()
@ID
@WAIT
@TIMEOUT
@OUTPUT
@JSON
@SERVER
def get(request_id: str, wait: bool, timeout: float | None, output: Path | None, as_json: bool, server: str) -> None:
    """Print where the pictures of a request are, or save them."""
    with fleet_at(server) as fleet:
        waits = wait or timeout is not None
        found = _followed(fleet, request_id, timeout) if waits else fleet.get(request_id)
        _show_result(fleet, found, output, as_json)


@main.command("list")
@click.option("--user", help="Only this user's requests.")
@click.option("--status", "state", help="Only requests in this status.")
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="So many at most.")
@JSON
@SERVER
def list_requests(user: str | None, state: str | None, limit: int, as_json: bool, server: str) -> None:
    """List your requests, or everybody's if you see them all, newest first; with --json one object a line."""
    with fleet_at(server) as fleet:
        for each in itertools.islice(fleet.list(user_id=user, status=state, page_size=min(limit, 100)), limit):
            line = f"{each.request_id}  {each.status:<11} {each.progress:>3} %  {each.metadata.prompt or ''}"
            click.echo(encode(wire(each)) if as_json else plain(line)[:160])


@main.command()
@ID
@JSON
@SERVER
def cancel(request_id: str, as_json: bool, server: str) -> None:
    """Call a request off."""
    with fleet_at(server) as fleet:
        answer = fleet.cancel(request_id)
        click.echo(_pretty(answer) if as_json else plain(answer.message or answer.status))


@main.command()
@ID
@click.option("--after", type=int, help="Only events after this number.")
@JSON
@SERVER
def events(request_id: str, after: int | None, as_json: bool, server: str) -> None:
    """Print what happens to a request, as it happens; with --json one object a line."""
    with fleet_at(server) as fleet:
        for each in fleet.events(request_id, last_event_id=after):
            share = "" if each.progress is None else f" {each.progress} %"
            number = "" if each.seq is None else each.seq
            line = f"{number:>5}  {each.type}  {each.status or ''}{share}  {each.message or ''}"
            click.echo(encode(wire(each)) if as_json else plain(line).rstrip())


@main.command()
@click.option("--id", "extension_id", help="Its name; by default one that no other has.")
@click.option("--ws", "websocket_url", help="The socket's URL; by default the server is asked for it.")
@click.option("--models", default="", help="What it can draw, such as dall-e-3,sdxl; by default everything.")
@click.option("--concurrent", type=click.IntRange(1, 64), default=1, show_default=True, help="Jobs at once.")
@click.option("--step-ms", type=click.IntRange(min=0), default=100, show_default=True, help="Pause after each report.")
@click.option("--token", envvar="IMAGEFLEET_EXTENSION_TOKEN", help="Where the server lets in only those who show one.")
@SERVER
def extension(
    extension_id: str | None,
    websocket_url: str | None,
    models: str,
    concurrent: int,
    step_ms: int,
    token: str | None,
    server: str,
) -> None:
    """Run the reference extension, which draws by itself, until Ctrl-C or SIGTERM."""
    from imagefleet.extension import Extension, Settings  # noqa: PLC0415 - the socket takes long to load
    from imagefleet.running import default_id, run_until_signal, say  # noqa: PLC0415 - the same

    named = tuple(name.strip() for name in models.split(",") if name.strip())
    chosen = Settings(server, extension_id or default_id(), websocket_url, named, concurrent, token, step_ms / 1000)
    with valid_address():
        working = Extension(chosen, say)
    run_until_signal(working)


main.add_command(fleet_command.fleet)


def _followed(fleet: Imagefleet, request_id: str, timeout_s: float | None) -> GeneratedImage:
    try:
        with shown_progress() as show:
            return fleet.wait(request_id, show, timeout_s)
    except KeyboardInterrupt:
        follow, stop = f"imagefleet get {request_id} --wait", f"imagefleet cancel {request_id}"
        click.echo(plain(f"The request goes on: `{follow}` follows it, `{stop}` calls it off."), err=True)
        raise


def _show_result(fleet: Imagefleet, result: GeneratedImage, output: Path | None, as_json: bool) -> None:
    """Pictures as files or URLs, one a line; anything but pictures is no success."""
    from imagefleet.saving import save_all  # noqa: PLC0415 - the HTTP library takes long to load

    completed = result.status == COMPLETED
    saved = [str(file) for file in save_all(fleet, result, output)] if completed and output else []
    if as_json:
        click.echo(_pretty(result))
    elif completed:
        for place in saved or [fleet.image_url(image) for image in result.images]:
            click.echo(plain(place))
    if not result.is_final:
        fail(f"Request {result.request_id} is {words(result)}; add --wait to wait for it.", NOT_FINISHED)
    if not completed:
        fail(f"Request {result.request_id} {words(result)}")


def _pretty(answer: object) -> str:
    return json.dumps(wire(answer), indent=2)
