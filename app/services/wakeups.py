"""Waking the hand-off where there is something to hand off."""

from __future__ import annotations

from app.db import jobs
from app.domain.errors import Unavailable
from app.services.ports import Ports


def wake_if_anyone_waits(ports: Ports) -> None:
    """An extension may have room: have the hand-off look, where somebody waits.

    For after the commit that made the room: whoever comes to wait later brings a wake along, and finds the room. Without
    the look, each request that ends would have workers look in vain.
    """
    try:
        anyone_waits = ports.database.read(jobs.anyone_waiting)
    except Unavailable:  # a wake too many does no harm
        anyone_waits = True
    if anyone_waits:
        ports.tasks.assign()
