"""Which link of the chain is broken, why, and what to do, found by breaking each of them."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from app.container import Services
from app.db.engine import Database
from app.db.webhook_tables import webhook_deliveries, webhook_endpoints
from app.domain.diagnosis import Finding, Link, exit_status
from app.domain.errors import Unavailable
from app.domain.pauses import EVERYTHING, PauseKind, PauseTarget
from app.domain.webhooks import Target
from app.services.diagnostics import Diagnostics, Parts
from app.services.ports import Store
from tests.support.disks import read_only
from tests.support.fakes import Bench, FakeBus
from tests.support.harness import Harness

HOUR = 3_600_000


class AbsentRedis(FakeBus):
    """A Redis that refuses to write."""

    def check(self) -> None:
        raise Unavailable("MISCONF Redis is configured to save RDB snapshots")


def findings(services: Services) -> dict[Link, Finding]:
    """What is found about each link."""
    return {each.link: each for each in services.diagnostics.findings()}


def broken(services: Services) -> dict[str, str]:
    """The codes of the broken links; each of them says what is wrong and what to do."""
    found = [each for each in services.diagnostics.findings() if each.is_broken]
    assert all(each.detail and each.remedy for each in found)
    return {each.link.value: each.code or "" for each in found}


@pytest.fixture
def whole(harness: Harness) -> Harness:
    """A service without anything broken."""
    harness.connect("painter", "flux-2")
    harness.sweep()
    return harness


def test_nothing_is_broken_in_a_service_that_works(whole: Harness) -> None:
    found = whole.services.diagnostics.findings()
    assert [each.link for each in found] == list(Link)
    assert all(each.ok for each in found), found
    assert exit_status(found) == 0
    assert "1 connected, able to make: flux-2" in found[-2].detail


def test_without_a_database_what_needs_it_is_not_checked(bench: Bench) -> None:
    away = Harness.of(bench.with_ports(database=Database("postgresql+psycopg://nobody@127.0.0.1:1/nothing")))
    found = findings(away.services)
    assert found[Link.DATABASE].code == "DATABASE_UNREACHABLE"
    assert "Connection refused" in found[Link.DATABASE].detail
    assert {link for link, each in found.items() if not each.checked} == {
        Link.CLOCK,
        Link.BEAT,
        Link.EXTENSIONS,
        Link.WEBHOOKS,
    }
    assert found[Link.STORAGE].ok
    assert exit_status(found.values()) == 27


def test_a_database_of_another_release_and_one_that_cannot_be_written_are_reported(
    bench: Bench, tmp_path: Path, migrated_sqlite_file: Path
) -> None:
    empty = Harness.of(bench.with_ports(database=Database(f"sqlite:///{tmp_path / 'empty.db'}")))
    assert broken(empty.services)["database"] == "DATABASE_OUTDATED"
    file = shutil.copyfile(migrated_sqlite_file, tmp_path / "frozen.db")
    address = f"sqlite:///file:{file}?mode=ro&uri=true"
    frozen = Harness.of(bench.with_ports(database=Database(address)))
    assert broken(frozen.services)["database"] == "DATABASE_NOT_WRITABLE"


def test_a_missing_redis_and_missing_workers_are_reported(whole: Harness) -> None:
    whole.bench.tasks.queues["download"] = None
    found = findings(Harness.of(whole.bench).services)
    assert found[Link.WORKERS].detail == "no worker takes tasks from download"
    assert found[Link.BEAT].detail == "not checked, since it needs workers"
    assert broken(Harness.of(whole.bench.with_ports(bus=AbsentRedis())).services) == {"redis": "REDIS_UNAVAILABLE"}


def test_sweeps_that_do_not_run_are_reported(whole: Harness) -> None:
    whole.set_last_sweep(60_000)
    found = findings(whole.services)[Link.BEAT]
    assert (found.code, found.detail) == ("BEAT_SILENT", "the last sweep ran 60 s ago")


def test_a_storage_that_is_full_or_cannot_be_written_is_reported(
    whole: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert broken(whole.with_settings(min_free_disk_bytes=10**18).services) == {"storage": "STORAGE_FULL"}
    read_only(monkeypatch)
    found = findings(whole.services)[Link.STORAGE]
    assert (found.code, found.detail) == (
        "STORAGE_FAILED",
        "The picture cannot be written: Read-only file system",
    )


@pytest.mark.parametrize(
    ("act", "code", "said"),
    [
        (lambda h: h.update_extension("painter", connected=False), "NO_EXTENSION", "No extension is connected"),
        (
            lambda h: h.services.queue_controls.pause(
                PauseTarget(PauseKind.EXTENSION, "painter"), note="it is cleaned", until=None
            ),
            "PAUSED_EXTENSIONS",
            "painter is paused by an operator: it is cleaned",
        ),
        (
            lambda h: h.services.queue_controls.pause(EVERYTHING, note="moving house", until=None),
            "PAUSED_ALL",
            "moving house",
        ),
        (
            lambda h: h.update_extension("painter", cooldown_until=h.now() + HOUR, cooldown_reason="quota used up"),
            "COOLING_DOWN",
            "quota used up",
        ),
        (lambda h: h.update_extension("painter", available=False), "NOT_ACCEPTING", "painter is unavailable"),
    ],
)
def test_extensions_that_take_no_work_are_reported_with_the_reason(
    whole: Harness, act: Callable[[Harness], object], code: str, said: str
) -> None:
    act(whole)
    found = findings(whole.services)[Link.EXTENSIONS]
    assert found.code == code
    assert said in found.detail
    assert found.remedy


def test_an_extension_that_cools_down_beside_one_that_works_is_a_remark(whole: Harness) -> None:
    whole.connect("second", "flux-2")
    whole.update_extension("second", cooldown_until=whole.now() + HOUR, cooldown_reason="quota used up.")
    found = findings(whole.services)[Link.EXTENSIONS]
    assert found.ok
    assert "second cools down until" in found.detail
    assert found.detail.endswith(": quota used up")


def test_webhooks_that_receive_nothing_are_reported(whole: Harness) -> None:
    webhooks = whole.services.webhooks
    made = [webhooks.create(user, Target("https://receiver.example/hooks")).endpoint for user in ("ann", "bob")]

    def change(webhook_id: str, **values: object) -> None:
        statement = webhook_endpoints.update().where(webhook_endpoints.c.id == webhook_id).values(**values)
        whole.bench.database.write(lambda tx: tx.connection.execute(statement))

    webhooks.change("ann", made[0].id, enabled=False)
    assert findings(whole.services)[Link.WEBHOOKS].ok, "its owner wanted that"

    whole.submit(user="bob")
    overdue = webhook_deliveries.update().values(due_at=whole.now() - HOUR)
    whole.bench.database.write(lambda tx: tx.connection.execute(overdue))
    late = findings(Harness.of(whole.bench).services)[Link.WEBHOOKS]
    assert (late.code, late.detail) == ("WEBHOOKS_LATE", "an event has been waiting for 3600 s to be sent")

    change(made[1].id, failing_since=whole.now() - HOUR)
    failing = findings(Harness.of(whole.bench).services)[Link.WEBHOOKS]
    assert failing.code == "WEBHOOK_FAILING"
    assert f"{made[1].id} of bob" in failing.detail

    change(made[1].id, enabled=False, disabled_reason="It answered 410 Gone.")
    disabled = findings(Harness.of(whole.bench).services)[Link.WEBHOOKS]
    assert disabled.code == "WEBHOOK_DISABLED"
    assert f"{made[1].id} of bob (It answered 410 Gone)" in disabled.detail


def test_what_hangs_is_reported_while_the_others_are_examined(whole: Harness) -> None:
    may_answer = threading.Event()

    def hanging() -> Store:
        may_answer.wait(60)
        return whole.bench.store

    ports = whole.bench.ports
    parts = Parts(ports.settings, lambda: ports.database, ports.tasks, ports.bus, hanging)
    found = {each.link: each for each in Diagnostics(parts, within_s=1.0).findings()}
    may_answer.set()
    assert {link for link, each in found.items() if not each.ok} == {Link.STORAGE}
    assert (found[Link.STORAGE].code, found[Link.STORAGE].detail) == ("NO_ANSWER", "no answer within 1 s")
