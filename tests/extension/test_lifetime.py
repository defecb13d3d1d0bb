"""Workers end, browsers end, servers end: the extension comes back, and no job and no result is lost.

Nothing is attached to the worker here, for a debugger would keep it alive.
"""

from __future__ import annotations

import shutil
import signal
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.support.chromium import Chromium, running_chromium
from tests.support.service import Service, running_service
from tests.support.waiting import until

SMALL = {"width": 48, "height": 32}
SLOW_MS = 250  # 16 steps of it: 4 s a picture
IDLE_S = 75.0  # Chrome ends a worker after 30 s of silence
BACK_S = 75.0  # Chrome wakes a worker that was ended every 30 s


@pytest.fixture(scope="module")
def lone(tmp_path_factory: pytest.TempPathFactory, migrated_sqlite_file: Path, redis_url: str) -> Iterator[Service]:
    """A service with one web process, which a test may end; it waits for extensions as long as a browser may take."""
    folder = tmp_path_factory.mktemp("lone")
    database = shutil.copyfile(migrated_sqlite_file, folder / "imagefleet.db")
    patient = {"RECONNECT_GRACE_MS": "60000", "OFFER_TIMEOUT_MS": "5000", "AUTHENTICATION_TIMEOUT_MS": "10000"}
    with running_service(folder, f"sqlite:///{database}", redis_url, webs=1, workers=1, **patient) as service:
        yield service


@pytest.fixture
def browser(tmp_path: Path, lone: Service) -> Iterator[Chromium]:
    """A browser of the test's own, connected."""
    with running_chromium(tmp_path / "browser", lone.url()) as browser:
        browser.until_status("status.state === 'connected'")
        yield browser


def draw(browser: Chromium, model: str, delay_ms: int = SLOW_MS) -> None:
    """Have it draw this model slowly. Names differ from test to test: no extension is given another's job."""
    settings = {"delayMs": delay_ms}
    entry = {
        "id": "canvas",
        "kind": "canvas",
        "name": "Drawn",
        "enabled": True,
        "models": [model],
        "settings": settings,
    }
    browser.save(providers=[entry])
    browser.until_status("status.state === 'connected'")


def begun(service: Service, model: str, least: int = 1, **parameters: Any) -> str:
    """A request that is being drawn."""
    request_id = service.submit("a fox", model=model, parameters={**SMALL, **parameters})
    until(lambda: service.status(request_id).get("progress", 0) >= least, 30, "progress")
    return request_id


def attempts(service: Service, request_id: str) -> int:
    return service.row(request_id).attempt


def completed(service: Service, request_id: str) -> bool:
    return bool(service.final(request_id, BACK_S)["status"] == "completed")


def standing(browser: Chromium, service: Service) -> Any:
    """The extension as the service sees it."""
    name = browser.evaluate("(await (await import('/shared/settings.js')).load()).extensionId")
    return next(
        each for each in service.get("/api/extensions?limit=100").json["extensions"] if each["extensionId"] == name
    )


def test_a_worker_that_is_ended_in_the_middle_comes_back_by_itself_and_the_job_is_done(
    browser: Chromium, lone: Service
) -> None:
    draw(browser, "killed-worker")
    request_id = begun(lone, "killed-worker")

    browser.kill_worker()

    assert completed(lone, request_id)
    assert attempts(lone, request_id) == 1, "the service waited for it"
    browser.until_status("status.state === 'connected' && status.unsent === 0")


def test_a_browser_that_is_killed_in_the_middle_goes_on_where_it_was(browser: Chromium, lone: Service) -> None:
    browser.install()
    draw(browser, "killed-browser")
    request_id = begun(lone, "killed-browser")

    browser.kill()
    browser.start()

    assert completed(lone, request_id)
    assert attempts(lone, request_id) == 1, "the service waited for it"


def test_a_result_that_could_not_be_told_is_told_by_the_next_browser(browser: Chromium, lone: Service) -> None:
    browser.install()
    draw(browser, "unsent")
    request_id = begun(lone, "unsent")
    lone.stop("web0", signal.SIGKILL)
    browser.until_status("status.unsent === 1", 30)

    browser.kill()
    lone.start("web0")
    lone.ready()
    browser.start()

    assert completed(lone, request_id)
    browser.until_status("status.state === 'connected' && status.unsent === 0")


def test_a_result_made_while_the_server_was_away_is_delivered_when_it_is_back(browser: Chromium, lone: Service) -> None:
    draw(browser, "meanwhile")
    request_id = begun(lone, "meanwhile")

    lone.stop("web0", signal.SIGKILL)
    away = browser.until_status("status.unsent === 1 && status.state === 'waiting'", 30)
    lone.start("web0")
    lone.ready()

    assert "cannot be reached" in away["why"]
    assert away["retryAt"] > away["since"]
    assert completed(lone, request_id)
    browser.until_status("status.state === 'connected' && status.unsent === 0", BACK_S)


def test_a_worker_that_was_ended_while_the_server_was_away_finds_it_when_it_is_back(
    browser: Chromium, lone: Service
) -> None:
    draw(browser, "outage")
    before = standing(browser, lone)
    lone.stop("web0", signal.SIGKILL)
    browser.until_status("status.state === 'waiting'")
    browser.kill_worker()
    lone.start("web0")
    lone.ready()

    name = before["extensionId"]

    def is_back() -> bool:
        """As the service sees it: a page of the extension would wake the worker."""
        extensions = lone.get("/api/extensions?connected=true&limit=100").json["extensions"]
        return any(each["extensionId"] == name and each["since"] > before["since"] for each in extensions)

    until(is_back, BACK_S, "the extension to be back")
    assert completed(lone, lone.submit("a fox", model="outage", parameters=SMALL))


def test_a_server_that_restarts_in_good_order_is_come_back_to(browser: Chromium, lone: Service) -> None:
    draw(browser, "restart")

    lone.stop("web0")
    browser.until_status("status.state !== 'connected'")
    lone.start("web0")
    lone.ready()

    assert completed(lone, lone.submit("a fox", model="restart", parameters=SMALL))


@pytest.mark.timeout(300)
def test_a_minute_and_more_without_work_leaves_it_connected_and_able_to_work(browser: Chromium, lone: Service) -> None:
    draw(browser, "idle", delay_ms=0)
    before = standing(browser, lone)
    name = before["extensionId"]

    def heard_for_s() -> float:
        """How long after it was connected its latest heartbeat came."""
        extensions = lone.get("/api/extensions?limit=100").json["extensions"]
        now = next(each for each in extensions if each["extensionId"] == name)
        assert now["connected"]
        assert now["since"] == before["since"], "it has not been connected all the time"
        return (datetime.fromisoformat(now["lastSeenAt"]) - datetime.fromisoformat(now["since"])).total_seconds()

    until(lambda: heard_for_s() > IDLE_S, 2 * IDLE_S, "heartbeats")

    assert completed(lone, lone.submit("a fox", model="idle", parameters=SMALL))
    assert standing(browser, lone)["since"] == before["since"]
