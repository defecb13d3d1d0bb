"""`imagefleet fleet`: lists the extensions, for operators."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from imagefleet.options import command
from imagefleet.output.tables import Column
from imagefleet.output.terminal import local_time
from imagefleet.session import Session

if TYPE_CHECKING:
    from imagefleet.models import ExtensionState

EXAMPLES = """
imagefleet fleet
imagefleet fleet --connected --json
"""
COLUMNS = (
    Column("EXTENSION"),
    Column("STATE"),
    Column("SINCE", optional=True),
    Column("HOLDS", right=True),
    Column("MODELS", optional=True),
    Column("WHY", shrinks=True),
)


@command("fleet", examples=EXAMPLES)
@click.option("--connected", is_flag=True, help="Only extensions that are connected now.")
def fleet(session: Session, connected: bool) -> None:
    """List the extensions, for operators.

    For each its state, since when it is connected or not, how many requests it holds of how many it takes at once, its
    models, and why it is paused.
    """
    with session.connect() as client:
        found = client.extensions(connected=True if connected else None)
        none = "No extension is connected." if connected else "No extension has ever connected."
        session.show_each(found, COLUMNS, _row, none)


def _row(state: ExtensionState) -> tuple[object, ...]:
    since = None if state.since is None else local_time(state.since)
    holds = f"{state.active or 0}/{state.max_concurrent or 0}"
    return state.extension_id, state.standing, since, holds, ",".join(state.capabilities), _why(state)


def _why(state: ExtensionState) -> str | None:
    if state.paused_by_operator is not None:
        return state.paused_by_operator.note or "paused by an operator"
    return state.pause.reason if state.pause else None
