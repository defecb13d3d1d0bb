"""One short measure from end to end: real servers, real load, a result and its page."""

from __future__ import annotations

import dataclasses
import os
import time
from pathlib import Path

import pytest
from sqlalchemy import select, text

from app.db.engine import read_engine
from app.db.tables import jobs
from bench import __main__ as bench
from bench import meter
from bench.environment import USER, USERS, SystemUnderTest, floor_web, fresh, serving, submission
from bench.floor_handoff import handoff_floor
from bench.load.http import ClientPool
from bench.load.loop import Loop
from bench.measures import batches, storage, submit
from bench.meter import Meter
from bench.plan import Plan
from bench.results import Result


@dataclasses.dataclass(frozen=True)
class Shortest(Plan):
    """The shortest plan: one short turn."""

    @property
    def repeats(self) -> int:
        return 1

    @property
    def seconds(self) -> float:
        return 0.3


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_measure_gives_a_result_and_a_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(submit, "CLIENTS", (2,))
    monkeypatch.setattr(submit, "OF_ONE_USER", 3)
    out = tmp_path / "result.json"
    assert bench.run(Shortest(quick=True, database="sqlite"), ("submit",), out) == 0
    (measure,) = Result.load(out).measures
    rows = {row.label: row for row in measure.rows}
    cpu = rows["sqlite, 2 clients: CPU of the web process"]
    assert cpu.floor is not None
    assert cpu.subject[0] > cpu.floor[0] > 50  # a request cannot cost less than that, nor less than its floor
    assert rows["sqlite, 2 clients: rate"].subject[0] > 0
    assert rows["sqlite, 3 clients of one user: rate"].subject[0] > 0
    assert {"web", "redis", "load generator"} <= measure.bars[0].parts.keys()
    assert "Submitting a request" in out.with_suffix(".html").read_text()


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_the_floor_of_a_batch_inserts_as_many_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "ITEMS", (40, 40))
    out = tmp_path / "result.json"
    assert bench.run(Shortest(quick=True, database="sqlite"), ("batches",), out) == 0
    (measure,) = Result.load(out).measures
    created, _, status, _ = measure.rows
    assert created.label == "sqlite, 40 items: CPU"
    assert created.floor is not None
    assert created.subject[0] > created.floor[0] > 0
    assert status.floor is not None


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_bucket_is_measured_beside_put_object(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "SIZES", (1_000_000,))
    out = tmp_path / "result.json"
    assert bench.run(Shortest(quick=True), ("storage",), out) == 0
    (measure,) = Result.load(out).measures
    rows = {row.label: row for row in measure.rows}
    stored = rows["0.95 MiB, stored: time"]
    assert stored.floor is not None
    assert stored.subject[0] > 0
    assert stored.floor[0] > 0
    assert rows["0.95 MiB, read: CPU"].subject[0] > 0


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_clients_submit_as_separate_users_and_their_submissions_are_removed() -> None:
    with serving("sqlite") as system:
        pool = ClientPool(Loop())
        ours = [system.post_text(user=number) for number in range(len(USERS))]
        assert pool.open(system.port, len(ours), ours)["count"] == len(USERS)
        assert pool.open(system.port, 1, [system.post_text("Another one")])["count"] == 1
        pool.close()
        assert sorted(_who_waits(system)) == sorted([*USERS, USER])
        system.forget_submissions()
        assert _who_waits(system) == [USER]


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_both_floors_of_a_hand_off_run_one_after_the_other(tmp_path: Path) -> None:
    with (
        fresh("sqlite", tmp_path) as url,
        floor_web("web", FLOOR_DATABASE_URL=url) as (port, _),
        handoff_floor() as floor,
    ):
        done = floor.load.call("handoff_posted", rate=20, seconds=0.5, port=port, post=submission())
        engine = read_engine(url)
        with engine.connect() as connection:
            kept = connection.execute(text("SELECT count(*) FROM requests")).scalar_one()
        engine.dispose()
    assert done["count"] == kept >= 5


def _who_waits(system: SystemUnderTest) -> list[str]:
    engine = read_engine(system.service.env["DATABASE_URL"])
    with engine.connect() as connection:
        users = list(connection.execute(select(jobs.c.user_id)).scalars())
    engine.dispose()
    return users


def test_a_meter_counts_exactly_the_cpu_used() -> None:
    counter = Meter(lambda: {"us": [os.getpid()], "ended": [2**22 - 3]})
    counter.start()
    before = time.process_time()
    while time.process_time() < before + 0.05:
        pass
    time.sleep(0.05)
    assert counter.used() == {"us": pytest.approx(0.05, abs=0.03)}


def test_the_memory_of_this_process_can_be_measured() -> None:
    assert 2**20 < meter.resident([os.getpid()]) < 2**34
    now = meter.forget_peak(os.getpid())
    held = bytearray(64 * 2**20)
    held[::4096] = b"x" * len(held[::4096])
    assert meter.peak_resident(os.getpid()) - now > 50 * 2**20


def test_an_unknown_measure_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        bench.main(["run", "--only", "submit,nonsense"])
    assert "nonsense: there are submit" in capsys.readouterr().err
