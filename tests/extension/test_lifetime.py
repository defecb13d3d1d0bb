"""Workers, browsers and servers stop: the extension reconnects, and no job and no result is lost.

No debugger is attached to the worker, because it would keep the worker alive.
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
SLOW_MS = 250  # 16 steps: 4 s per picture
IDLE_S = 35.0  # Chrome stops an idle worker after 30 s
RECOVERY_S = 75.0  # the alarm starts a stopped worker every 30 s


@pytest.fixture(scope="module")
def restartable(
    tmp_path_factory: pytest.TempPathFactory, migrated_sqlite_file: Path, redis_url: str
) -> Iterator[Service]:
    """A service with one web process, which tests may stop, and a long grace period for reconnecting."""
    folder = tmp_path_factory.mktemp("restartable")
    database = shutil.copyfile(migrated_sqlite_file, folder / "imagefleet.db")
    settings = {"RECONNECT_GRACE_MS": "60000", "OFFER_TIMEOUT_MS": "5000", "AUTHENTICATION_TIMEOUT_MS": "10000"}
    with running_service(folder, f"sqlite:///{database}", redis_url, webs=1, workers=1, **settings) as service:
        yield service


@pytest.fixture
def browser(tmp_path: Path, restartable: Service) -> Iterator[Chromium]:
    """A new, connected browser."""
    with running_chromium(tmp_path / "browser", restartable.url()) as browser:
        browser.until_status("status.state === 'connected'")
        yield browser


def configure(browser: Chromium, model: str, delay_ms: int = SLOW_MS) -> None:
    """Make it draw this model slowly. Each test uses its own model, so that it gets no jobs of other tests."""
    entry = {
        "id": "canvas",
        "kind": "canvas",
        "name": "Test pictures",
        "enabled": True,
        "models": [model],
        "settings": {"delayMs": delay_ms},
    }
    browser.save(providers=[entry])
    browser.until_status("status.state === 'connected'")


def started(service: Service, model: str, minimum: int = 1, **parameters: Any) -> str:
    """Submit a request and wait until it is in progress."""
    request_id = service.submit("a fox", model=model, parameters={**SMALL, **parameters})
    until(lambda: service.status(request_id).get("progress", 0) >= minimum, 30, "progress")
    return request_id


def advance_alarm(browser: Chromium) -> None:
    """Have the alarm that starts a stopped worker go off in 6 s instead of 30 s, as it may where no store installed it."""
    assert browser.evaluate("(await chrome.alarms.get('wake')).periodInMinutes") == 0.5
    browser.evaluate("await chrome.alarms.create('wake', { delayInMinutes: 0.1, periodInMinutes: 0.5 }); 0")


def attempts(service: Service, request_id: str) -> int:
    return service.row(request_id).attempt


def completed(service: Service, request_id: str) -> bool:
    return bool(service.final(request_id, RECOVERY_S)["status"] == "completed")


def registration(browser: Chromium, service: Service) -> Any:
    """The extension as the service lists it."""
    name = browser.evaluate("(await (await import('/shared/settings.js')).load()).extensionId")
    return next(
        each for each in service.get("/api/extensions?limit=100").json["extensions"] if each["extensionId"] == name
    )


def registered(browser: Chromium, service: Service, model: str) -> Any:
    """The extension as the service lists it, once it has reconnected with this model."""

    def current() -> Any:
        entry = registration(browser, service)
        return entry if entry["connected"] and model in entry["capabilities"] else None

    return until(current, 20, "the extension to register the model")


def test_a_stopped_worker_restarts_and_completes_its_job(browser: Chromium, restartable: Service) -> None:
    configure(browser, "killed-worker")
    request_id = started(restartable, "killed-worker")
    advance_alarm(browser)

    browser.kill_worker()

    assert completed(restartable, request_id)
    assert attempts(restartable, request_id) == 1, "the service assigned the request again"
    browser.until_status("status.state === 'connected' && status.unsent === 0")


def test_a_killed_browser_continues_its_job_after_a_restart(browser: Chromium, restartable: Service) -> None:
    browser.install()
    configure(browser, "killed-browser")
    request_id = started(restartable, "killed-browser")

    browser.kill()
    browser.start()

    assert completed(restartable, request_id)
    assert attempts(restartable, request_id) == 1, "the service assigned the request again"


def test_an_undelivered_result_is_delivered_after_a_restart_of_the_browser(
    browser: Chromium, restartable: Service
) -> None:
    browser.install()
    configure(browser, "unsent")
    request_id = started(restartable, "unsent")
    restartable.stop("web0", signal.SIGKILL)
    browser.until_status("status.unsent === 1", 30)

    browser.kill()
    restartable.start("web0")
    restartable.ready()
    browser.start()

    assert completed(restartable, request_id)
    browser.until_status("status.state === 'connected' && status.unsent === 0")


def test_a_result_is_delivered_after_an_outage_of_the_server(browser: Chromium, restartable: Service) -> None:
    configure(browser, "meanwhile")
    request_id = started(restartable, "meanwhile")

    restartable.stop("web0", signal.SIGKILL)
    outage = browser.until_status("status.unsent === 1 && status.state === 'waiting'", 30)
    restartable.start("web0")
    restartable.ready()

    assert "cannot be reached" in outage["why"]
    assert outage["retryAt"] > outage["since"]
    assert completed(restartable, request_id)
    browser.until_status("status.state === 'connected' && status.unsent === 0", RECOVERY_S)


def test_a_worker_that_was_stopped_during_an_outage_reconnects(browser: Chromium, restartable: Service) -> None:
    configure(browser, "outage")
    before = registered(browser, restartable, "outage")
    restartable.stop("web0", signal.SIGKILL)
    browser.until_status("status.state === 'waiting'")
    advance_alarm(browser)
    browser.kill_worker()
    restartable.start("web0")
    restartable.ready()

    name = before["extensionId"]

    def is_reconnected() -> bool:
        """Query the service: a page of the extension would wake the worker."""
        extensions = restartable.get("/api/extensions?connected=true&limit=100").json["extensions"]
        return any(each["extensionId"] == name and each["since"] > before["since"] for each in extensions)

    until(is_reconnected, RECOVERY_S, "the extension to reconnect")
    assert completed(restartable, restartable.submit("a fox", model="outage", parameters=SMALL))


def test_the_extension_reconnects_after_a_graceful_restart(browser: Chromium, restartable: Service) -> None:
    configure(browser, "restart")

    restartable.stop("web0")
    browser.until_status("status.state !== 'connected'")
    restartable.start("web0")
    restartable.ready()

    assert completed(restartable, restartable.submit("a fox", model="restart", parameters=SMALL))


@pytest.mark.timeout(300)
def test_an_idle_extension_stays_connected_and_can_work(browser: Chromium, restartable: Service) -> None:
    configure(browser, "idle", delay_ms=0)
    before = registered(browser, restartable, "idle")
    name = before["extensionId"]

    def connected_s() -> float:
        """Time from the connection to the latest heartbeat."""
        extensions = restartable.get("/api/extensions?limit=100").json["extensions"]
        current = next(each for each in extensions if each["extensionId"] == name)
        assert current["connected"]
        assert current["since"] == before["since"], "it was disconnected meanwhile"
        return (
            datetime.fromisoformat(current["lastSeenAt"]) - datetime.fromisoformat(current["since"])
        ).total_seconds()

    until(lambda: connected_s() > IDLE_S, 2 * IDLE_S, "heartbeats")

    assert completed(restartable, restartable.submit("a fox", model="idle", parameters=SMALL))
    assert registration(browser, restartable)["since"] == before["since"]
