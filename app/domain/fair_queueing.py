"""The order of the queue: priority classes, and start-time fair queueing within each.

Each model has one queue for each class, and others for variations and edits. A queue has a virtual time, and each of its jobs a virtual start: one job of a user
of weight 1 takes `UNIT` of virtual time. A queue is served in the order of virtual starts, and its virtual time is the
greatest one that was served. The wall clock plays no part.
(Goyal, Vin, Cheng: Start-time Fair Queuing, SIGCOMM 1996)
"""

import heapq
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from enum import IntEnum
from itertools import count, islice
from typing import Protocol, TypeVar

UNIT = 1_000_000


class Priority(IntEnum):
    """The classes, best first. IDLE jobs run only when no other job could."""

    HIGH = 0
    NORMAL = 1
    LOW = 2
    IDLE = 3

    @property
    def word(self) -> str:
        """Its name on the wire."""
        return self.name.lower()


class Queued(Protocol):
    """A waiting job; `served_at` is when a job of its queue was last handed out, in ms, 0 for never."""

    @property
    def id(self) -> str: ...
    @property
    def queue_key(self) -> str: ...
    @property
    def priority(self) -> int: ...
    @property
    def virtual_start(self) -> int: ...
    @property
    def served_at(self) -> int: ...


J = TypeVar("J", bound=Queued)


def virtual_start(virtual_time: int, last: int | None, weight: int) -> int:
    """The virtual start of a job that enters a queue with this virtual time.

    `last` is the latest virtual start among the waiting jobs of its user in the same queue, None if there are none. A user
    who submits 500 jobs at once therefore does not delay others by all of them.
    """
    return virtual_time if last is None else max(virtual_time, last + UNIT // weight)


def in_order(waiting: Iterable[J], limit: int) -> list[J]:
    """The first of these jobs, in the order in which an extension takes them that could make them all.

    Of several queues the best class comes first, and within a class the models take turns: the one that was served longest
    ago is next. (Virtual starts of different queues cannot be compared.)
    """
    queues: dict[tuple[int, str], list[J]] = defaultdict(list)
    for job in waiting:
        queues[job.priority, job.queue_key].append(job)
    return list(islice(_merged(queues), limit))


def _merged(queues: Mapping[tuple[int, str], list[J]]) -> Iterator[J]:
    rest = {key: iter(sorted(jobs, key=lambda job: (job.virtual_start, job.id))) for key, jobs in queues.items()}
    turns = count(max((jobs[0].served_at for jobs in queues.values()), default=0) + 1)
    heads: list[tuple[int, int, str, str, J]] = []

    def push_next(priority: int, model: str, served_at: int) -> None:
        if (job := next(rest[priority, model], None)) is not None:
            heapq.heappush(heads, (priority, served_at, job.id, model, job))

    for (priority, model), jobs in queues.items():
        push_next(priority, model, jobs[0].served_at)
    while heads:
        priority, _, _, model, job = heapq.heappop(heads)
        yield job
        push_next(priority, model, next(turns))
