"""Waking the dispatchers where there is a job to hand out."""

from __future__ import annotations

from app.db import jobs
from app.domain.errors import Unavailable
from app.services.ports import Ports


def wake_if_a_job_waits(ports: Ports) -> None:
    """An extension may have a free slot: wake a dispatcher, where a job waits.

    Call it after the commit that freed the slot: a job that arrives later sends its own wake-up, and finds the slot. Without
    the look, each job that ends would have a dispatcher look in vain.
    """
    try:
        job_waits = ports.database.read(jobs.anyone_waiting)
    except Unavailable:  # one wake-up too many does no harm
        job_waits = True
    if job_waits:
        ports.tasks.assign()
