"""`/metrics` over real processes: all of them are counted, none twice, also after one was killed or started again."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import websocket
from prometheus_client.parser import text_string_to_metric_families

from tests.support.missing import missing
from tests.support.pictures import data_url, plain
from tests.support.redis import running_redis
from tests.support.service import ROOT, Service, running_service
from tests.support.waiting import until

STEPS = "imagefleet_request_steps_total"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, migrated_sqlite_file: Path) -> Iterator[Service]:
    """One web process and two workers, which no other tests use."""
    folder = tmp_path_factory.mktemp("service")
    database = shutil.copyfile(migrated_sqlite_file, folder / "imagefleet.db")
    with (
        tempfile.TemporaryDirectory(prefix="imagefleet-redis-") as redis_folder,
        running_redis(Path(redis_folder)) as redis,
        running_service(folder, f"sqlite:///{database}", redis.url, webs=1, workers=2) as service,
    ):
        yield service


def promtool() -> str:
    return shutil.which("promtool") or missing("promtool is not installed (on Debian: apt-get install prometheus).")


def make_pictures(service: Service, count: int) -> None:
    with service.extension("counted", "counted") as extension:
        for _ in range(count):
            request_id = service.submit(model="counted")
            extension.done(extension.next_job(), data_url(plain()))
            extension.receive("image_generation_confirmed")
            assert service.final(request_id)["status"] == "completed"


def scrape(service: Service) -> str:
    return service.get("/metrics").content.decode()


def steps(service: Service, step: str, process: str = "") -> float:
    """How often the step was taken, in all processes or in those whose name begins so."""
    return sum(
        sample.value
        for family in text_string_to_metric_families(scrape(service))
        for sample in family.samples
        if sample.name == STEPS and sample.labels["step"] == step and sample.labels["process"].startswith(process)
    )


def test_the_processes_of_a_service_are_counted_together(service: Service) -> None:
    make_pictures(service, 3)
    until(lambda: steps(service, "store", "worker") == 3, 20, "the stored pictures to be counted")
    assert [steps(service, step) for step in ("submit", "assign", "generated", "store")] == [3, 3, 3, 3]
    assert steps(service, "submit", "web") == 3


def test_promtool_finds_nothing_wrong(service: Service) -> None:
    checked = subprocess.run(
        [promtool(), "check", "metrics"], input=scrape(service), capture_output=True, text=True, check=False
    )
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


def test_the_alerts_fire_when_they_should() -> None:
    rules = ROOT / "docs" / "monitoring" / "alerts_test.yml"
    tested = subprocess.run([promtool(), "test", "rules", str(rules)], capture_output=True, text=True, check=False)
    assert tested.returncode == 0, tested.stdout + tested.stderr


def test_a_process_that_starts_again_begins_at_zero_and_the_others_go_on(service: Service) -> None:
    stored = steps(service, "store")
    assert stored > 0
    service.processes["web0"].terminate()
    service.processes["web0"].wait(40)
    service.start("web0")
    service.ready()
    assert (steps(service, "submit"), steps(service, "store")) == (0, stored)
    make_pictures(service, 1)
    until(lambda: steps(service, "store") == stored + 1, 20, "the next picture to be counted")


def test_what_a_killed_process_had_open_is_not_shown(service: Service) -> None:
    def open_sockets() -> float:
        return sum(
            sample.value
            for family in text_string_to_metric_families(scrape(service))
            for sample in family.samples
            if sample.name == "imagefleet_sockets"
        )

    with closing(websocket.create_connection(f"ws://127.0.0.1:{service.ports[0]}/ws", timeout=20)):
        until(lambda: open_sockets() == 1, 20, "the socket to be counted")
        [child] = subprocess.check_output(["pgrep", "-P", str(service.processes["web0"].pid)], text=True).split()
        os.kill(int(child), 9)
        until(lambda: open_sockets() == 0, 40, "the socket of the killed process to be forgotten")
