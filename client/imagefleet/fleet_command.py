"""`imagefleet fleet`: lists the extensions, for operators."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from imagefleet.options import JSON, SERVER
from imagefleet.server_access import connect
from imagefleet.terminal import local_time, plain, print_each
from imagefleet.wire import encode

if TYPE_CHECKING:
    from imagefleet.models import ExtensionState


@click.command()
@click.option("--connected", is_flag=True, help="Only extensions that are connected now.")
@JSON
@SERVER
def fleet(connected: bool, as_json: bool, server: str) -> None:
    """List the extensions, for operators.

    Each line has the state, since when it is connected or not, how many requests it holds and may hold, its ID and its
    models. With --json one object per line.
    """
    with connect(server) as client:
        found = client.extensions(connected=True if connected else None)
        none = "No extension is connected." if connected else "No extension has ever connected."
        print_each((encode(each.raw) if as_json else plain(_line(each)) for each in found), none)


def _line(state: ExtensionState) -> str:
    since = "" if state.since is None else f"  since {local_time(state.since)}"
    holds = f"  {state.active or 0}/{state.max_concurrent or 0}"
    reason = f"  {state.pause.reason or ''}" if state.pause else ""
    return f"{state.standing:<11}{since}{holds}  {state.extension_id}  {','.join(state.capabilities)}{reason}".rstrip()
