"""`imagefleet generate`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from imagefleet.commands.results import prepare, show_result, wait_for
from imagefleet.options import CACHE, OUTPUT, PATIENCE, TIMEOUT, WAIT, WAIT_FOR_EXTENSION, parameters
from imagefleet.session import Session, shared_options
from imagefleet.terminal import local_time, tell_that_it_waits

if TYPE_CHECKING:
    from imagefleet.models import CacheMode

EXAMPLES = """\b
Examples:
  imagefleet generate a lighthouse at dawn --width 1024 --height 768 --output pictures
  imagefleet generate "two foxes" --number 2 --param seed=7"""


@click.command(epilog=EXAMPLES)
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
@shared_options
def generate(
    session: Session,
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
) -> None:
    """Submit a request and print its ID.

    With --wait or --output it prints the pictures' URLs or files instead. The prompt needs no quotes.

    The request waits while the extensions that can do it are busy. If none of them is connected, it fails after a few
    minutes (5, unless the server's NO_EXTENSION_TIMEOUT_MS says otherwise); with --wait-for-extension it waits as long as
    you say.
    """
    prepare(output)
    with session.connect() as client:
        accepted = client.submit(
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
            session.remark(f"Request {accepted.request_id}")
            show_result(session, client, wait_for(session, client, accepted.request_id, timeout), output)
            return
        session.show(accepted, accepted.request_id)
        if accepted.waits_until is not None:
            session.remark(f"It waits for an extension until {local_time(accepted.waits_until)}.")
