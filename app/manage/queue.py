"""Commands for the queue."""

from collections.abc import Callable, Iterator
from datetime import datetime

import click

from app.domain.clock import wire_time
from app.domain.errors import InvalidRequest
from app.domain.image_request import clean_model, clean_user
from app.domain.operations import split_key
from app.domain.pauses import EVERYTHING, PauseKind, PauseTarget, clean_extension, clean_note
from app.manage.console import GetServices, command, print_table, printable
from app.services.queue_status import THROUGHPUT_MS, PauseState, QueueOverview


def _target_options(function: Callable[..., None]) -> Callable[..., None]:
    function = click.option("--extension", "extension_id", help="This extension alone.")(function)
    function = click.option("--user", "user_id", help="The requests of this user alone.")(function)
    return click.option("--model", help="The requests for this model alone.")(function)


@command("pause")
@_target_options
@click.option("--note", help="Why; everybody whose requests wait for it can read it.")
@click.option("--until", help="When it ends by itself, such as 2024-01-14T12:00 (local time) or 2024-01-14T12:00Z.")
@click.option("--drain", is_flag=True, help="With --extension: it is to be taken away once it holds nothing.")
def pause(get_services: GetServices, note: str | None, until: str | None, drain: bool, **names: str | None) -> None:
    """Hand out no more requests.

    Without --model, --user and --extension this pauses everything. What was handed out goes on, and new requests wait. Pausing
    what is paused changes its note and its end.
    """
    target, ends = _target(**names), None if until is None else _time(until)
    get_services().queue_controls.pause(target, note=note and clean_note(note), until=ends, drain=drain)
    click.echo(f"Paused: {_described(target)}.")


@command("resume")
@_target_options
def resume(get_services: GetServices, **names: str | None) -> None:
    """Hand out requests again.

    Without --model, --user and --extension this ends the pause of everything; what is paused by its own pause stays paused.
    The pause that failures of an extension led to is ended by resume-extension.
    """
    target = _target(**names)
    resumed = get_services().queue_controls.resume(target)
    click.echo(f"{'Resumed' if resumed else 'Not paused'}: {_described(target)}.")


@command("queue")
def queue(get_services: GetServices) -> None:
    """Show how many requests wait, what is paused, and how busy the extensions are."""
    overview = get_services().queue_status.overview()
    capacity, completed = overview.capacity, sum(overview.completed.values())
    click.echo(
        f"{capacity.busy} of {capacity.slots} slots are busy; {completed} requests were completed in the last "
        f"{THROUGHPUT_MS // 60_000} minutes."
    )
    _print("QUEUE", ("MODEL", "PRIORITY", "DEPTH", "OLDEST SINCE"), _queues(overview), "No request waits.")
    paused = map(_pause_row, overview.paused)
    _print("PAUSED", ("WHAT", "STATE", "SINCE", "UNTIL", "NOTE"), paused, "Nothing is paused.")


def _print(title: str, head: tuple[str, ...], rows: Iterator[tuple[str, ...]], none: str) -> None:
    listed = list(rows)
    click.echo()
    if listed:
        click.echo(title)
        print_table(head, listed)
    else:
        click.echo(none)


def _queues(overview: QueueOverview) -> Iterator[tuple[str, ...]]:
    for each in overview.queues:
        model, operation = split_key(each.key)
        yield (
            " ".join(filter(None, (model, operation.word))),
            each.priority.word,
            str(each.depth),
            wire_time(each.oldest_at),
        )


def _pause_row(found: PauseState) -> tuple[str, ...]:
    pause = found.pause
    state = "drained" if found.drained else "draining" if pause.drain else "paused"
    until = "-" if pause.until is None else wire_time(pause.until)
    return (_described(pause.target), state, wire_time(pause.paused_at), until, pause.note or "")


def _target(*, model: str | None, user_id: str | None, extension_id: str | None) -> PauseTarget:
    """Raises InvalidRequest, click.UsageError."""
    targets: list[PauseTarget] = []
    if model is not None:
        targets.append(PauseTarget.of_model(clean_model(model)))
    if user_id is not None:
        targets.append(PauseTarget(PauseKind.USER, clean_user(user_id)))
    if extension_id is not None:
        targets.append(PauseTarget(PauseKind.EXTENSION, clean_extension(extension_id)))
    if len(targets) > 1:
        raise click.UsageError("Use one of --model, --user and --extension, or none of them for everything.")
    return targets[0] if targets else EVERYTHING


def _time(text: str) -> int:
    """A time in ms; one without a zone is local. Raises InvalidRequest."""
    try:
        return round(datetime.fromisoformat(text).timestamp() * 1000)
    except (ValueError, OverflowError):
        raise InvalidRequest(f"--until {printable(text)}: it must be a time such as 2024-01-14T12:00.") from None


def _described(target: PauseTarget) -> str:
    return "everything" if target.kind is PauseKind.ALL else f"{target.kind.value} {target.name}"


COMMANDS = (queue, pause, resume)
