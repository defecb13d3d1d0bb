"""One run: hosts are cut off one after the other while requests come in, everything is waited for, read and checked."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import psycopg

from app.config import Settings
from app.container import build, real_ports
from app.db.engine import Database
from app.domain.errors import Unavailable
from tests.chaos import snapshots
from tests.chaos.checker import CHECKS, Violation, violations
from tests.chaos.clients import Client
from tests.chaos.database_probe import DatabaseProbe
from tests.chaos.fleet import Fleet
from tests.chaos.history import History
from tests.chaos.host import ImageHost
from tests.chaos.observer_checks import OBSERVER_CHECKS
from tests.chaos.plan import Plan
from tests.chaos.run import FAR_AHEAD_MS, QUIET_S
from tests.chaos.stage import SETTINGS
from tests.hosts.cluster import WEBS, Cluster, cluster
from tests.hosts.cross_host import EXTENSION, CrossHostTimes, cross_host
from tests.hosts.outages import Outage, OutageReport, connected_to, in_again_s, outage_report
from tests.support.waiting import until

CUT_OFF = ("worker-b", "worker-a", "web-a")  # while worker-a is away, worker-b has come back or nobody works
SILENCE_S = 5.0
SETTLED_S = 6.0
PATIENCE_S = 180.0
TURN_S = 0.1
HAS_WRITTEN = (
    "SELECT 1 FROM pg_stat_activity "
    "WHERE client_addr = %s::inet AND state = 'idle in transaction' AND backend_xid IS NOT NULL"
)
AT_WORK = "SELECT max(query_start) > to_timestamp(%s) FROM pg_stat_activity WHERE client_addr = %s::inet"

Log = Callable[[str], None]


@dataclass
class Result:
    """What there is to tell."""

    history: History
    cross_host: list[CrossHostTimes] = field(default_factory=list)
    cuts: list[Outage] = field(default_factory=list)
    outages: list[OutageReport] = field(default_factory=list)
    restarts: Counter[str] = field(default_factory=Counter)
    violations: list[Violation] = field(default_factory=list)
    rest_s: float = 0.0


def execute(plan: Plan, cut_s: float, beats: int, folder: Path, log: Log, *, bare: bool = False) -> Result:
    """Do it. Raises CannotBuild where this machine cannot, AssertionError where the service does not come back."""
    slots = {extension.name: extension.slots for extension in plan.extensions}
    slots |= {f"extension-{EXTENSION + nth}": 1 for nth in range(4)}
    result = Result(History(slots, int(SETTINGS["MAX_ATTEMPTS"])))
    began = time.monotonic()
    with cluster(folder, beats, bare=bare) as made, closing(Database(made.database_url)) as reader:
        log(f"four hosts and their servers are up after {time.monotonic() - began:.0f} s")
        _Run(plan, cut_s, made, reader, result, log).execute()
        result.restarts = made.restarts
    result.violations += violations(result.history, (*CHECKS, *OBSERVER_CHECKS))
    result.outages = [outage_report(cut, result.history) for cut in result.cuts]
    return result


class _Run:
    def __init__(self, plan: Plan, cut_s: float, made: Cluster, reader: Database, result: Result, log: Log) -> None:
        self._plan = plan
        self._cut_s = cut_s
        self._cluster = made
        self._reader = reader
        self._result = result
        self._log = log
        self._began = time.monotonic()

    def execute(self) -> None:
        records = self._result.history.records
        images = ImageHost(self._cluster.outside)
        webs = [self._cluster.url(host) for host in WEBS]
        fleet = Fleet(self._plan, [self._cluster.socket(host) for host in WEBS], images, records, SILENCE_S)
        probe = DatabaseProbe(self._cluster.database_url)
        self._measure_cross_host(0)
        fleet.start()
        clients = [Client(request, webs, records, probe) for request in self._plan.requests]
        for client in clients:
            client.start()
        self._supervise_for(SETTLED_S)
        for host in CUT_OFF:
            self._cut_off(host)
            self._supervise_for(SETTLED_S)
        self._come_to_rest(clients)
        self._measure_cross_host(2)
        for host in WEBS:
            assert self._cluster.healthy(host), self._cluster.health(host)
        broken = [*fleet.broken, *(client.name for client in clients if not client.finished)]
        self._result.violations += [Violation("the harness itself", None, f"{name} has broken") for name in broken]
        self._read(images)
        fleet.stop()
        images.stop()

    def _measure_cross_host(self, nth: int) -> None:
        for offset, (here, there) in enumerate([WEBS, WEBS[::-1]]):
            self._result.cross_host.append(cross_host(self._cluster, here, there, nth + offset))

    def _cut_off(self, host: str) -> None:
        history, address = self._result.history, self._cluster.network.address(host)
        its = connected_to(history, self._cluster.socket(host)) if host in WEBS else frozenset[str]()
        at = self._cut_amid_a_transaction(host, address)
        self._log(
            f"{self._now()}  {host} is cut off amid a transaction{f', and with it {len(its)} extensions' if its else ''}"
        )
        self._supervise_for(self._cut_s)
        again = None
        if its:
            elsewhere = self._cluster.socket(next(web for web in WEBS if web != host))
            self._wait(lambda: its <= connected_to(history, elsewhere), f"{sorted(its)} to be elsewhere")
            again = in_again_s(history, its, at)
        mended = time.time()
        self._cluster.network.mend(host)
        self._wait(partial(self._is_at_work, host, address, mended), f"{host} to be back")
        self._result.cuts.append(Outage(host, at, mended, time.time() - mended, its, again))
        self._log(f"{self._now()}  {host} is back, {time.time() - mended:.1f} s after its cable")

    def _cut_amid_a_transaction(self, host: str, address: str) -> float:
        """When it was cut off: at a moment at which it has locks in the database, which nobody else can then give back."""
        with psycopg.connect(self._plain_url(), autocommit=True) as connection:

            def caught() -> bool:
                go_on = self._cluster.frozen(host)
                row = connection.execute(HAS_WRITTEN, (address,)).fetchone()
                if row is not None:
                    self._cluster.network.cut(host)
                go_on()
                return row is not None

            self._wait(caught, f"{host} to be in the middle of a transaction")
        return time.time()

    def _is_at_work(self, host: str, address: str, since: float) -> bool:
        """True once it has asked the database something since then, and says that it is healthy where it serves."""
        with suppress(psycopg.Error), psycopg.connect(self._plain_url(), connect_timeout=3) as connection:
            row = connection.execute(AT_WORK, (since, address)).fetchone()
            return bool(row and row[0]) and (host not in WEBS or self._cluster.healthy(host))
        return False

    def _plain_url(self) -> str:
        return self._cluster.database_url.replace("+psycopg", "")

    def _come_to_rest(self, clients: Sequence[Client]) -> None:
        self._wait(lambda: all(client.request_id for client in clients), "every request to be taken")
        began = time.monotonic()
        self._wait(lambda: self._all_over(clients), "every request to end and every client to know it")
        self._result.rest_s = time.monotonic() - began
        for client in clients:
            client.join(5)

    def _all_over(self, clients: Sequence[Client]) -> bool:
        with suppress(Unavailable):
            return all(client.finished for client in clients) and snapshots.still_open(self._reader) == 0
        return False

    def _read(self, images: ImageHost) -> None:
        history = self._result.history
        history.earlier = snapshots.rows(self._reader)
        self._supervise_for(QUIET_S)
        services = build(real_ports(Settings.from_env(self._cluster.env)))
        while services.cleanup.sweep(int(time.time() * 1000) + FAR_AHEAD_MS):
            pass
        history.final = snapshots.final_state(self._reader, self._cluster.pictures)
        history.fetches = dict(images.fetches)

    def _supervise_for(self, seconds: float) -> None:
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            self._cluster.restart_dead()
            time.sleep(TURN_S)

    def _wait(self, condition: Callable[[], bool], what: str, timeout_s: float = PATIENCE_S) -> None:
        def supervised() -> bool:
            self._cluster.restart_dead()
            return condition()

        until(supervised, timeout_s, what)

    def _now(self) -> str:
        return f"{time.monotonic() - self._began:6.1f} s"
