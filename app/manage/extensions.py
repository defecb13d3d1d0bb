"""Commands for the fleet."""

from collections.abc import Iterator

import click

from app.db.extension_list import ExtensionDetails
from app.domain.clock import wire_time
from app.manage.console import GetServices, command, print_table

HEAD = ("EXTENSION", "STATUS", "SINCE", "LAST SEEN", "HOLDS", "VERSION", "CAPABILITIES", "NOTE")


@command("list-extensions")
@click.option("--connected", is_flag=True, help="Only extensions that are connected now.")
def list_extensions(get_services: GetServices, connected: bool) -> None:
    """List the extensions.

    HOLDS is the number of requests that an extension holds, and the most that it takes at once.
    """
    rows = list(map(_row, get_services().fleet.all(True if connected else None)))
    if rows:
        print_table(HEAD, rows)
    else:
        click.echo("No extension is connected." if connected else "No extension has ever connected.", err=True)


@command("resume-extension")
@click.argument("extension_id")
def resume_extension(get_services: GetServices, extension_id: str) -> None:
    """End the pause of an extension.

    It gets requests again at once. Use it when you have removed the cause of its failures. (A pause that an operator made is
    ended by resume --extension.)
    """
    if get_services().extensions.resume(extension_id):
        click.echo(f"The extension {extension_id} is resumed.")
    else:
        click.echo(f"The extension {extension_id} is not paused.")


def _row(entry: ExtensionDetails) -> tuple[str, ...]:
    times = (wire_time(entry.since), wire_time(entry.heard_at))
    holds = f"{entry.held}/{entry.max_concurrent}"
    capabilities = ",".join(entry.capabilities)
    return (entry.id, entry.standing.value, *times, holds, entry.version or "-", capabilities, "; ".join(_notes(entry)))


def _notes(entry: ExtensionDetails) -> Iterator[str]:
    if entry.pause is not None:
        yield f"paused until {wire_time(entry.pause.until)}: {entry.pause.reason or ''}"
    if (by_operator := entry.paused_by_operator) is not None:
        until = "" if by_operator.until is None else f" until {wire_time(by_operator.until)}"
        yield f"paused by an operator{until}{f': {by_operator.note}' if by_operator.note else ''}"
    if entry.failures:
        yield f"failures in a row: {entry.failures}"


COMMANDS = (list_extensions, resume_extension)
