"""Jobs that the extension does in a real browser for the real service."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.support.canvas_picture import canvas_picture
from tests.support.chromium import Chromium, running_chromium
from tests.support.service import Service
from tests.support.waiting import until

MODEL = "drawn-in-a-browser"
SMALL = {"width": 48, "height": 32}


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory, service: Service) -> Iterator[Chromium]:
    """A browser whose copy of the extension came from the service."""
    with running_chromium(tmp_path_factory.mktemp("browser"), service.url()) as browser:
        browser.until_status("status.state === 'connected'")
        yield browser


def entry(models: list[str], **settings: Any) -> dict[str, Any]:
    return {"id": "canvas", "kind": "canvas", "name": "Drawn", "enabled": True, "models": models, "settings": settings}


def draw(browser: Chromium, *, delay_ms: int = 0, at_once: int = 1) -> None:
    """Have the extension draw, in 16 steps with a pause after each."""
    browser.save(providers=[entry([MODEL], delayMs=delay_ms)], concurrency=at_once)
    browser.until_status("status.state === 'connected' && status.jobs.length === 0")


def pixels(service: Service, path: str) -> tuple[tuple[int, int], bytes]:
    """Size and pixels of a stored file, read from the disk."""
    picture = Image.open(io.BytesIO((service.folder / "pictures" / Path(path).name).read_bytes()))
    return picture.size, picture.convert("RGB").tobytes()


def is_drawing(service: Service, request_id: str) -> bool:
    status = service.status(request_id)
    return bool(status["status"] == "processing" and 0 < status.get("progress", 0) < 100)


def test_the_pictures_on_the_disk_are_the_pictures_that_were_drawn(browser: Chromium, service: Service) -> None:
    draw(browser)

    request_id = service.submit("a red fox", model=MODEL, parameters={**SMALL, "numberOfImages": 2})
    result = service.final(request_id)

    assert result["status"] == "completed"
    drawn = [pixels(service, image["imagePath"]) for image in result["images"]]
    assert drawn == [((48, 32), canvas_picture("a red fox", MODEL, 48, 32, position)) for position in (0, 1)]
    assert result["metadata"] | SMALL == result["metadata"]


def test_a_picture_that_no_message_could_carry_arrives(browser: Chromium, service: Service) -> None:
    draw(browser)

    request_id = service.submit("far too large", model=MODEL, parameters={"width": 2400, "height": 2000})
    result = service.final(request_id, 60)

    assert result["status"] == "completed"
    assert result["images"][0]["bytes"] > 1_100_000


def test_a_client_hears_how_far_it_is_and_the_popup_can_show_it(browser: Chromium, service: Service) -> None:
    draw(browser, delay_ms=300)

    request_id = service.submit("a slow fox", model=MODEL, parameters=SMALL)
    until(lambda: is_drawing(service, request_id), 20, "progress")
    shown = browser.until_status("status.jobs[0]?.progress > 0")["jobs"]

    assert [(job["requestId"], job["model"], job["prompt"]) for job in shown] == [(request_id, MODEL, "a slow fox")]
    assert service.final(request_id)["status"] == "completed"
    assert browser.until_status("status.jobs.length === 0")["unsent"] == 0


def test_two_jobs_are_done_at_once_where_the_user_allows_it(browser: Chromium, service: Service) -> None:
    draw(browser, delay_ms=400, at_once=2)

    requests = [service.submit(f"fox {number}", model=MODEL, parameters=SMALL) for number in range(2)]
    until(lambda: all(is_drawing(service, each) for each in requests), 20, "both to be drawn at once")

    assert [service.final(each)["status"] for each in requests] == ["completed"] * 2


def test_one_job_waits_for_the_other_where_the_user_allows_no_more(browser: Chromium, service: Service) -> None:
    draw(browser, delay_ms=100)

    requests = [service.submit(f"vixen {number}", model=MODEL, parameters=SMALL) for number in range(2)]
    until(lambda: is_drawing(service, requests[0]), 20, "the first to be drawn")

    assert service.status(requests[1])["status"] == "accepted"
    assert [service.final(each)["status"] for each in requests] == ["completed"] * 2


def test_a_job_that_is_called_off_makes_room_for_the_next(browser: Chromium, service: Service) -> None:
    draw(browser, delay_ms=5_000)

    endless = service.submit("80 seconds of work", model=MODEL, parameters=SMALL)
    until(lambda: service.status(endless)["status"] == "processing", 20, "the work to begin")
    browser.until_status("status.jobs.length === 1")
    service.delete(f"/api/images/{endless}")

    browser.until_status("status.jobs.length === 0 && status.unsent === 0")
    draw(browser)
    request_id = service.submit("the next", model=MODEL, parameters=SMALL)
    assert service.final(request_id)["status"] == "completed"
    assert service.status(endless)["status"] == "cancelled"


def test_what_is_done_is_counted(browser: Chromium, service: Service) -> None:
    draw(browser)
    before = browser.status()["today"]["done"]

    assert service.final(service.submit(model=MODEL, parameters=SMALL))["status"] == "completed"

    assert browser.until_status(f"status.today.done === {before + 1}")["today"]["failed"] == 0


def test_a_paused_extension_finishes_what_it_has_and_takes_no_more(browser: Chromium, service: Service) -> None:
    draw(browser, delay_ms=200)

    begun = service.submit("begun", model=MODEL, parameters=SMALL)
    until(lambda: is_drawing(service, begun), 20, "the work to begin")
    browser.save(paused=True)
    browser.until_status("status.notTaking === 'paused'")
    later = service.submit("later", model=MODEL, parameters=SMALL)

    assert service.final(begun)["status"] == "completed"
    until(lambda: service.status(later).get("queue", {}).get("reason"), 20, "a reason why it waits")
    assert service.status(later)["status"] == "accepted"

    browser.save(paused=False)
    assert service.final(later)["status"] == "completed"
