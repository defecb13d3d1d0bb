"""One run: disconnect one host after another under load, wait until all requests end, and check the history."""

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
from tests.hosts.outages import Outage, OutageReport, connected_to, outage_report, reconnected_s
from tests.support.waiting import until

DISCONNECTED = ("worker-b", "worker-a", "web-a")  # worker-b must have recovered before worker-a is disconnected
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
    """The result of a run."""

    history: History
    cross_host: list[CrossHostTimes] = field(default_factory=list)
    outages: list[Outage] = field(default_factory=list)
    reports: list[OutageReport] = field(default_factory=list)
    restarts: Counter[str] = field(default_factory=Counter)
    violations: list[Violation] = field(default_factory=list)
    rest_s: float = 0.0


def execute(
    plan: Plan, outage_s: float, beats: int, folder: Path, log: Log, *, bare: bool = False, bucket: bool = False
) -> Result:
    """Execute the plan. Raises CannotBuild, or AssertionError if the service does not recover."""
    slots = {extension.name: extension.slots for extension in plan.extensions}
    slots |= {f"extension-{EXTENSION + nth}": 1 for nth in range(4)}
    result = Result(History(slots, int(SETTINGS["MAX_ATTEMPTS"])))
    began = time.monotonic()
    with cluster(folder, beats, bare=bare, bucket=bucket) as made, closing(Database(made.database_url)) as reader:
        log(f"four hosts and their servers are running after {time.monotonic() - began:.0f} s")
        _Run(plan, outage_s, made, reader, result, log).execute()
        result.restarts = made.restarts
    result.violations += violations(result.history, (*CHECKS, *OBSERVER_CHECKS))
    result.reports = [outage_report(outage, result.history) for outage in result.outages]
    return result


class _Run:
    def __init__(self, plan: Plan, outage_s: float, made: Cluster, reader: Database, result: Result, log: Log) -> None:
        self._plan = plan
        self._outage_s = outage_s
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
        for host in DISCONNECTED:
            self._disconnect(host)
            self._supervise_for(SETTLED_S)
        self._wait_for_the_end(clients)
        self._measure_cross_host(2)
        for host in WEBS:
            assert self._cluster.healthy(host), self._cluster.health(host)
        broken = [*fleet.broken, *(client.name for client in clients if not client.finished)]
        self._result.violations += [Violation("the harness itself", None, f"{name} has crashed") for name in broken]
        self._read(images)
        fleet.stop()
        images.stop()

    def _measure_cross_host(self, nth: int) -> None:
        for offset, (posted_at, made_at) in enumerate([WEBS, WEBS[::-1]]):
            self._result.cross_host.append(cross_host(self._cluster, posted_at, made_at, nth + offset))

    def _disconnect(self, host: str) -> None:
        history, address = self._result.history, self._cluster.network.address(host)
        extensions = connected_to(history, self._cluster.socket(host)) if host in WEBS else frozenset[str]()
        at = self._disconnect_during_a_transaction(host, address)
        self._log(
            f"{self._now()}  {host} is disconnected during a transaction{f', with {len(extensions)} extensions' if extensions else ''}"
        )
        self._supervise_for(self._outage_s)
        reconnected = None
        if extensions:
            elsewhere = self._cluster.socket(next(web for web in WEBS if web != host))
            self._wait(
                lambda: extensions <= connected_to(history, elsewhere), f"{sorted(extensions)} to reconnect elsewhere"
            )
            reconnected = reconnected_s(history, extensions, at)
        ended = time.time()
        self._cluster.network.reconnect(host)
        self._wait(partial(self._is_at_work, host, address, ended), f"{host} to recover")
        self._result.outages.append(Outage(host, at, ended, time.time() - ended, extensions, reconnected))
        self._log(f"{self._now()}  {host} recovered {time.time() - ended:.1f} s after it was reconnected")

    def _disconnect_during_a_transaction(self, host: str, address: str) -> float:
        """Disconnect the host while it holds locks in the database, which no other process can release; returns the time."""
        with psycopg.connect(self._plain_url(), autocommit=True) as connection:

            def disconnected() -> bool:
                resume = self._cluster.suspend(host)
                row = connection.execute(HAS_WRITTEN, (address,)).fetchone()
                if row is not None:
                    self._cluster.network.disconnect(host)
                resume()
                return row is not None

            self._wait(disconnected, f"{host} to be in the middle of a transaction")
        return time.time()

    def _is_at_work(self, host: str, address: str, since: float) -> bool:
        """True if it has queried the database since then and, as a web host, reports that it is healthy."""
        with suppress(psycopg.Error), psycopg.connect(self._plain_url(), connect_timeout=3) as connection:
            row = connection.execute(AT_WORK, (since, address)).fetchone()
            return bool(row and row[0]) and (host not in WEBS or self._cluster.healthy(host))
        return False

    def _plain_url(self) -> str:
        return self._cluster.database_url.replace("+psycopg", "")

    def _wait_for_the_end(self, clients: Sequence[Client]) -> None:
        self._wait(lambda: all(client.request_id for client in clients), "every request to be accepted")
        began = time.monotonic()
        self._wait(lambda: self._all_over(clients), "every request to end and every client to notice")
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
        history.final = snapshots.final_state(self._reader, self._cluster.pictures())
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
