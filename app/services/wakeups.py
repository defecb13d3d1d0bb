"""Wakes a dispatcher when there is a waiting job and a free extension.

After a commit that adds a job, a query looks for a free extension; after one that frees a slot, for a waiting job. Both run
after their commit, so the later of two concurrent ones sees the other. Without the query, each submission to a busy fleet
and each finished job would start a task with nothing to do.
"""

from collections.abc import Callable

from sqlalchemy import Connection

from app.db import jobs, slots
from app.domain.errors import Unavailable
from app.services.ports import Ports


def wake_if_an_extension_is_free(ports: Ports) -> None:
    """A job waits: wake a dispatcher if an extension has a free slot. Call it after the commit that added the job."""
    _wake_if(ports, slots.any_free)


def wake_if_a_job_waits(ports: Ports) -> None:
    """An extension may have a free slot: wake a dispatcher if a job waits. Call it after the commit that freed the slot."""
    _wake_if(ports, jobs.any_waiting)


def _wake_if(ports: Ports, found: Callable[[Connection], bool]) -> None:
    try:
        needed = ports.database.read(found)
    except Unavailable:  # an unnecessary wake-up does no harm
        needed = True
    if needed:
        ports.tasks.assign()
