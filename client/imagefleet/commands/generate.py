"""`imagefleet generate`: submits a request for pictures."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from imagefleet.commands.results import prepare, show_result, wait_for
from imagefleet.durations import METAVAR, seconds
from imagefleet.options import OUTPUT, PARAMETERS, TIMEOUT, USER, command, texts, whole_days
from imagefleet.output.terminal import describe_refusal, local_time
from imagefleet.session import Session

if TYPE_CHECKING:
    from imagefleet.client import Client
    from imagefleet.errors import ImagefleetError
    from imagefleet.models import Accepted

EXAMPLES = """
imagefleet generate a lighthouse at dawn --width 1024 --height 768 --output pictures
imagefleet generate "two foxes" --number 2 --param seed=7 --param style=vivid
imagefleet generate "the keeper reads a letter" --style noir --var light="a storm lantern"
imagefleet generate "the same fox in snow" --input fox.png --mask sky.png --strength 0.5
imagefleet generate --variation-of 550e8400-e29b-41d4-a716-446655440000 --number 4
cat prompt.txt | imagefleet generate - --priority low --wait-for-extension 8h
"""
WEEK_S = 604_800
# What a variation may differ in from the request whose picture it is made from.
OF_VARIATIONS = frozenset({"number", "strength", "position", "keep"})

_file = click.Path(exists=True, dir_okay=False, readable=True, path_type=Path)


@command("generate", examples=EXAMPLES)
@click.argument("prompt", nargs=-1)
@click.option("--model", help="Model, such as dall-e-3; `imagefleet models` lists them.")
@click.option("--width", type=int, help="Width in px.")
@click.option("--height", type=int, help="Height in px.")
@click.option("--quality", help="Quality, such as standard or hd.")
@click.option("--number", type=int, help="Number of pictures.")
@PARAMETERS
@click.option("--style", help="A style of the server; `imagefleet styles` lists them.")
@click.option(
    "--var", multiple=True, callback=texts, metavar="NAME=VALUE", help="A variable of the style; may be repeated."
)
@click.option("--input", "inputs", type=_file, multiple=True, help="A picture to make it from; up to four.")
@click.option(
    "--mask", type=_file, help="A picture as large as the first input, transparent where that is to be changed."
)
@click.option("--variation-of", metavar="ID", help="Make variations of a picture of this request.")
@click.option(
    "--picture", "position", type=click.IntRange(min=1), help="With --variation-of: of which one; 1 by default."
)
@click.option("--strength", type=click.FloatRange(0, 1), help="How much the input may be changed, 0 to 1.")
@click.option(
    "--priority", type=click.Choice(["high", "normal", "low", "idle"]), help="Class in the queue; normal by default."
)
@click.option(
    "--cache",
    type=click.Choice(["off", "prefer", "only"]),
    help="Whether it may get the pictures of an identical request of yours: prefer them to new ones, or take nothing else. "
    "Off by default.",
)
@click.option("--keep", metavar="DAYS", callback=whole_days, help="For how many days the server keeps the pictures.")
@click.option("--webhook", metavar="URL", help="An address for the events of this request.")
@USER
@click.option(
    "--wait-for-extension",
    "deadline_s",
    metavar=METAVAR,
    callback=seconds(1, WEEK_S),
    help="How long the request may wait for an extension that can do it, such as 8h or 2d; at most 7d. It fails if it is "
    "not completed by then.",
)
@click.option(
    "--patience",
    metavar=METAVAR,
    callback=seconds(),
    default="10m",
    show_default=True,
    help="How long to keep trying while the server's rate limit refuses the request.",
)
@click.option("--wait", is_flag=True, help="Wait until the request is completed or has failed.")
@TIMEOUT
@OUTPUT
def generate(
    session: Session,
    prompt: tuple[str, ...],
    wait: bool,
    timeout: float | None,
    output: Path | None,
    patience: float,
    **options: Any,
) -> None:
    """Submit a request for pictures, and print its ID.

    With --wait or --output it prints the pictures' URLs or files instead. The prompt needs no quotes; - reads it from stdin.

    The request waits while the extensions that can do it are busy. If none of them is connected, it fails after a few
    minutes (5, unless the server's NO_EXTENSION_TIMEOUT_MS says otherwise); with --wait-for-extension it waits as long as
    you say. Ctrl-C ends the waiting, not the request.
    """
    text = _prompt(prompt)
    _check(text, options)
    prepare(output, options["number"] or 1)
    with session.connect() as client:
        accepted = _submit(session, client, text, patience, options)
        if wait or output or timeout is not None:
            session.remark(f"Request {accepted.request_id}")
            show_result(session, client, wait_for(session, client, accepted.request_id, timeout), output)
            return
        session.show(accepted, accepted.request_id)
        if accepted.waits_until is not None:
            session.remark(f"It waits for an extension until {local_time(accepted.waits_until)}.")


def _prompt(words: tuple[str, ...]) -> str:
    """The words, or what is on stdin."""
    if words != ("-",):
        return " ".join(words)
    try:
        return "" if sys.stdin is None else sys.stdin.buffer.read().decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        raise click.UsageError("The prompt on stdin is not UTF-8.") from None


def _check(prompt: str, options: Mapping[str, Any]) -> None:
    """Raises click.UsageError for what cannot be meant."""
    given = {name for name, value in options.items() if value not in (None, (), {}) and name != "variation_of"}
    if options["variation_of"] is not None:
        others = sorted(given - OF_VARIATIONS)
        if others:
            names = {"inputs": "input", "deadline_s": "wait-for-extension"}
            raise click.UsageError(
                f"--{names.get(others[0], others[0])} cannot be changed by --variation-of: a variation is as the request that it is "
                "made from."
            )
        return
    if not prompt.strip():
        raise click.UsageError("Say what to draw: imagefleet generate PROMPT, or - to read it from stdin.")
    if options["position"] is not None:
        raise click.UsageError("--picture needs --variation-of.")
    if not options["inputs"] and (options["mask"] is not None or options["strength"] is not None):
        raise click.UsageError("--mask and --strength need an --input.")


def _submit(session: Session, client: Client, prompt: str, patience_s: float, options: Mapping[str, Any]) -> Accepted:
    def say_that_it_waits(error: ImagefleetError, _pause_s: float) -> None:
        if error.says_when:
            session.remark(f"{describe_refusal(error)} Waiting until then.")

    deadline_s = options["deadline_s"]
    if options["variation_of"] is not None:
        return client.vary(
            options["variation_of"],
            prompt=prompt or None,
            number_of_images=options["number"],
            strength=options["strength"],
            position=None if options["position"] is None else options["position"] - 1,
            keep=options["keep"],
            refused_s=patience_s,
            on_retry=say_that_it_waits,
        )
    return client.submit(
        prompt,
        model=options["model"],
        width=options["width"],
        height=options["height"],
        quality=options["quality"],
        number_of_images=options["number"],
        parameters=options["param"],
        style=options["style"],
        variables=options["var"] or None,
        user_id=options["user"],
        deadline_ms=None if deadline_s is None else round(deadline_s * 1000),
        priority=options["priority"],
        cache=options["cache"],
        keep=options["keep"],
        input_images=_uploaded(client, options) or None,
        webhook=options["webhook"],
        refused_s=patience_s,
        on_retry=say_that_it_waits,
    )


def _uploaded(client: Client, options: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Upload the input pictures; how the request names them."""
    strength = {} if options["strength"] is None else {"strength": options["strength"]}
    files = [(each, {"role": "image", **strength}) for each in options["inputs"]]
    if options["mask"] is not None:
        files.append((options["mask"], {"role": "mask"}))
    return [{"inputId": client.upload_input(file, user_id=options["user"]).input_id, **use} for file, use in files]
