"""One run: start the service, submit requests, inject faults, wait until all requests end, and check the history."""

from __future__ import annotations

import heapq
import itertools
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from app.config import Settings
from app.container import build, real_ports
from app.db.engine import Database
from app.domain.errors import Unavailable
from tests.chaos import faults, snapshots
from tests.chaos.batch_checks import BATCH_CHECKS
from tests.chaos.batch_client import BatchClient
from tests.chaos.caller import Caller
from tests.chaos.checker import CHECKS, Violation, violations
from tests.chaos.clients import Client
from tests.chaos.database_probe import DatabaseProbe
from tests.chaos.fleet import Fleet
from tests.chaos.history import History
from tests.chaos.hook_checks import HOOK_CHECKS
from tests.chaos.hooks import HookOwner, planned_hooks
from tests.chaos.observer_checks import OBSERVER_CHECKS
from tests.chaos.plan import Fault, Plan
from tests.chaos.receiver import HookReceiver
from tests.chaos.stage import SETTINGS, Stage, stage

TURN_S = 0.05
AGAIN_S = 0.5
QUIET_S = 1.5  # between two reads of rows that must not change any more
FAR_AHEAD_MS = 3 * 86_400_000

Log = Callable[[str], None]


@dataclass
class Result:
    """The result of a run."""

    history: History
    violations: list[Violation] = field(default_factory=list)
    survived: Counter[str] = field(default_factory=Counter)
    restarts: Counter[str] = field(default_factory=Counter)
    duration_s: float = 0.0
    quiet_after_s: float = 0.0
    """From the end of the last fault, or the last request if that was later, to the last request's end."""


def execute(plan: Plan, database: str, folder: Path, patience_s: float, log: Log) -> Result:
    """Execute the plan; `patience_s` is how long the requests may take to end after it."""
    literal = frozenset(each.name for each in plan.extensions if each.literal)
    result = Result(History({m.name: m.slots for m in plan.extensions}, int(SETTINGS["MAX_ATTEMPTS"]), literal))
    result.history.batches = {batch.number: [item.number for item in batch.items] for batch in plan.batches}
    began = time.monotonic()
    with stage(folder, database) as made, closing(Database(made.database_url)) as reader:
        log(f"everything is running after {time.monotonic() - began:.1f} s")
        _Run(plan, made, reader, result, log).execute(patience_s)
        result.restarts = made.restarts
    result.violations += violations(result.history, (*CHECKS, *OBSERVER_CHECKS, *BATCH_CHECKS, *HOOK_CHECKS))
    result.duration_s = time.monotonic() - began
    return result


class _Run:
    def __init__(self, plan: Plan, made: Stage, reader: Database, result: Result, log: Log) -> None:
        self._plan = plan
        self._stage = made
        self._reader = reader
        self._result = result
        self._log = log
        self._began = time.monotonic()
        self._undo: list[tuple[float, int, Fault, faults.Undo]] = []
        self._order = itertools.count()

    def execute(self, patience_s: float) -> None:
        records = self._result.history.records
        webs = [self._stage.service.url(web=n) for n in range(2)]
        sockets = [url.replace("http", "ws") + "/ws" for url in webs]
        fleet = Fleet(self._plan, sockets, self._stage.host, records)
        probe = DatabaseProbe(self._stage.database_url)
        receiver = HookReceiver(self._plan.receiver, records)
        owner = self._define_webhooks(receiver)
        clients: list[Caller] = [
            Client(request, webs, records, probe, owner.target_of(request=request.number))
            for request in self._plan.requests
        ]
        clients += [
            BatchClient(batch, webs, records, owner.target_of(batch=batch.number)) for batch in self._plan.batches
        ]
        self._began = time.monotonic()
        receiver.start()
        fleet.start()
        for client in clients:
            client.start()
        self._inject_faults()
        self._wait_for_the_end(clients, patience_s)
        for client in clients:
            client.stop()
        for client in clients:
            client.join(30)
        for name in [*fleet.broken, *(client.name for client in clients if not client.finished)]:
            self._result.violations.append(Violation("the harness itself", None, f"{name} has crashed"))
        if self._open() == 0:  # while the webhooks are disabled, events would be lost
            owner.repair(patience_s)
        self._read()
        receiver.stop()
        fleet.stop()

    def _define_webhooks(self, receiver: HookReceiver) -> HookOwner:
        history = self._result.history
        history.hooks = {hook.path: hook for hook in planned_hooks(self._plan)}
        receiver.gone = {path for path, hook in history.hooks.items() if (hook.request or 0) % 15 == 7}
        owner = HookOwner(self._stage.service, receiver, history, self._reader)
        owner.define()
        return owner

    def _inject_faults(self) -> None:
        due = list(self._plan.faults)
        while due or self._undo or time.monotonic() < self._began + self._plan.seconds:
            now = time.monotonic() - self._began
            while due and due[0].at_s <= now:
                self._inject(due.pop(0))
            while self._undo and self._undo[0][0] <= now:
                self._end_fault()
            self._stage.restart_dead()
            time.sleep(TURN_S)

    def _inject(self, fault: Fault) -> None:
        self._log(f"{time.monotonic() - self._began:6.1f} s  {fault.kind} ({fault.which}, {fault.seconds:.1f} s)")
        try:
            undo = faults.apply(self._stage, fault)
        except faults.NOT_APPLICABLE as problem:  # its target is down already
            self._log(f"          {fault.kind} is impossible now: {problem}")
            return
        if undo is None:
            self._result.survived[fault.kind] += 1
        else:
            ends = time.monotonic() - self._began + fault.seconds
            heapq.heappush(self._undo, (ends, next(self._order), fault, undo))

    def _end_fault(self) -> None:
        at, number, fault, undo = heapq.heappop(self._undo)
        if undo() is False:
            heapq.heappush(self._undo, (at + AGAIN_S, number, fault, undo))
        else:
            self._result.survived[fault.kind] += 1

    def _wait_for_the_end(self, clients: Sequence[Caller], patience_s: float) -> None:
        began = time.monotonic()
        while time.monotonic() < began + patience_s:
            self._stage.restart_dead()
            submitted = not any(client.is_alive() and not client.submitted for client in clients)
            if submitted and self._stage.running() and self._open() == 0:
                break
            time.sleep(0.2)
        self._result.quiet_after_s = time.monotonic() - began
        self._log(f"all requests ended {self._result.quiet_after_s:.1f} s after the last fault")

    def _open(self) -> int:
        try:
            return snapshots.still_open(self._reader)
        except Unavailable:
            return -1

    def _read(self) -> None:
        history = self._result.history
        history.earlier = snapshots.rows(self._reader)
        time.sleep(QUIET_S)
        self._clean_up()
        history.final = snapshots.final_state(self._reader, self._stage.pictures)
        history.fetches = dict(self._stage.host.fetches)

    def _clean_up(self) -> None:
        """Remove files that a crash left behind, as the cleanup task will some days from now."""
        services = build(real_ports(Settings.from_env(self._stage.service.env)))
        ahead_ms = int(time.time() * 1000) + FAR_AHEAD_MS
        while services.cleanup.sweep(ahead_ms):
            pass
