"""`imagefleet fleet`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from imagefleet.session import Session, shared_options
from imagefleet.terminal import local_time

if TYPE_CHECKING:
    from imagefleet.models import ExtensionState


@click.command()
@click.option("--connected", is_flag=True, help="Only extensions that are connected now.")
@shared_options
def fleet(session: Session, connected: bool) -> None:
    """List the extensions, for operators.

    Each line has the state, since when it is connected or not, how many requests it holds and may hold, its ID and its models.
    """
    with session.connect() as client:
        none = "No extension is connected." if connected else "No extension has ever connected."
        session.show_each(client.extensions(connected=True if connected else None), _line, none)


def _line(state: ExtensionState) -> str:
    since = "" if state.since is None else f"  since {local_time(state.since)}"
    holds = f"  {state.active or 0}/{state.max_concurrent or 0}"
    reason = f"  {state.pause.reason or ''}" if state.pause else ""
    return f"{state.standing:<11}{since}{holds}  {state.extension_id}  {','.join(state.capabilities)}{reason}".rstrip()
