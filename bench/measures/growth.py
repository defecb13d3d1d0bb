"""Whether anything gets slower with many waiting and finished requests, compared with 1,000 of each."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack

from bench.environment import UNSERVED, SystemUnderTest, fleet, fresh, postgres_group, scratch, serving
from bench.fill import FINISHED, WAITING, fill, id_of, owner_interval
from bench.load.http import request_text
from bench.loading import Load, loading
from bench.measures import batches
from bench.measures.handoff import handing_off
from bench.measures.submit import posting
from bench.measures.turns import Turn, cpu, in_turns, values
from bench.meter import Meter
from bench.plan import Plan
from bench.results import Measure, Row

FEW = 1_000
ITEMS, FEW_ITEMS = 10_000, 10  # of the batch
BUDGET = 1.2
CLIENTS = 8
HANDOFFS_A_SECOND = 5.0

EXPLANATION = (
    "The floor is the same service on a database with 1,000 waiting and 1,000 finished requests, each with an event and, "
    "where finished, a picture, and with a batch of ten. The measured user owns a hundred of the waiting ones, and the batch: "
    "of 10,000 items where there are many. CPU is that of the web process "
    "and of PostgreSQL together. They wait for a model that no extension has: a hand-off has to find its request among them."
)


def measure(plan: Plan) -> Measure:
    """Submit, hand-off, status, list and sweep."""
    result = Measure("growth", "Growth", EXPLANATION)
    for database in plan.databases:
        with ExitStack() as stack:
            _on(database, plan, result, stack)
    return result


class Grown:
    """The service on a filled database, with all its load generators."""

    def __init__(self, database: str, waiting: int, finished: int, items: int, stack: ExitStack) -> None:
        url = stack.enter_context(fresh(database, stack.enter_context(scratch())))
        fill(url, waiting, finished)
        self.system: SystemUnderTest = stack.enter_context(serving(database, 4, url, MAX_WAITING="2000000"))
        batches.create(self.system, items)
        self.clients: Load = stack.enter_context(loading("bench.load.http"))
        self.fleet, _ = stack.enter_context(fleet(self.system))
        self.sweeper: Load = stack.enter_context(loading("bench.load.sweeper", self.system.service.env))
        self.url = url
        self._last = 100 * owner_interval(WAITING, waiting), finished // 10 * 10

    def turns(self, plan: Plan) -> dict[str, Callable[[], Turn]]:
        """The measured operations."""
        waiting, finished = self._last
        seconds = plan.pick(1.5, 0.7)

        def requesting(request: str, afterwards: Callable[[], None] = lambda: None) -> Callable[[], Turn]:
            return posting(self.clients, self.system.port, [request], CLIENTS, seconds, self._serving, afterwards)

        def get(path: str) -> Callable[[], Turn]:
            return requesting(request_text("GET", path, key=self.system.key).decode())

        return {
            "submit": requesting(self.system.post_text(model=UNSERVED), self.system.forget_submissions),
            "status of one that waits": get(f"/api/images/{id_of(WAITING, waiting)}/status"),
            "status of one that is finished": get(f"/api/images/{id_of(FINISHED, finished // 20 * 10)}/status"),
            "list": get("/api/images?status=completed"),
            "list, far down": get(f"/api/images?cursor={id_of(FINISHED, finished // 2)}"),
            "hand-off": handing_off(
                self.fleet, self.system.groups, "handoff", rate=HANDOFFS_A_SECOND, seconds=plan.pick(5.0, 2.0)
            ),
            "sweep": lambda: self._swept(plan.pick(20, 5)),
        }

    def _serving(self) -> dict[str, list[int]]:
        return {"web": self.system.groups()["web"], **postgres_group(self.url)}

    def _swept(self, count: int) -> Turn:
        counter = Meter(lambda: postgres_group(self.url))
        counter.start()
        done = self.sweeper.call("sweep", count=count)
        used = {**counter.used(), "worker": done["cpu"]}
        return Turn({"p50": 1e3 * done["seconds"] / count}, {name: 1e6 * each / count for name, each in used.items()})


def _on(database: str, plan: Plan, result: Measure, stack: ExitStack) -> None:
    waiting, finished = plan.rows(database)
    many = Grown(database, waiting, finished, ITEMS, stack).turns(plan)
    few = Grown(database, FEW, FEW, FEW_ITEMS, stack).turns(plan)
    result.notes.append(f"{database}: {waiting:,} waiting and {finished:,} finished requests are many.")
    for name, turn in many.items():
        subject, floor = in_turns(plan.repeats, turn, few[name])
        result.rows += [
            Row(f"{database}, {name}: CPU", "µs", cpu(subject), cpu(floor), BUDGET),
            Row(f"{database}, {name}: time, p50", "ms", values(subject, "p50"), values(floor, "p50"), BUDGET),
        ]
