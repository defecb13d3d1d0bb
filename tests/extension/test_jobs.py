"""Jobs in a real browser with the real service."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openai import OpenAI
from PIL import Image

from tests.support.reference_renderer import rendered_pixels
from tests.support.chromium import Chromium, running_chromium
from tests.support.input_images import half_mask, picture, uploaded
from tests.support.service import Service
from tests.support.waiting import until

MODEL = "drawn-in-a-browser"
SMALL = {"width": 48, "height": 32}


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory, service: Service) -> Iterator[Chromium]:
    """A browser with a copy of the extension that was downloaded from the service."""
    with running_chromium(tmp_path_factory.mktemp("browser"), service.url()) as browser:
        browser.until_status("status.state === 'connected'")
        yield browser


def entry(models: list[str], **settings: Any) -> dict[str, Any]:
    return {
        "id": "canvas",
        "kind": "canvas",
        "name": "Test pictures",
        "enabled": True,
        "models": models,
        "settings": settings,
    }


def configure(browser: Chromium, *, delay_ms: int = 0, concurrency: int = 1) -> None:
    """Configure the built-in renderer, which draws in 16 steps with a delay after each."""
    browser.save(providers=[entry([MODEL], delayMs=delay_ms)], concurrency=concurrency)
    browser.until_status("status.state === 'connected' && status.jobs.length === 0")


def pixels(service: Service, path: str) -> tuple[tuple[int, int], bytes]:
    """Size and pixels of a stored file."""
    picture = Image.open(io.BytesIO((service.folder / "pictures" / Path(path).name).read_bytes()))
    return picture.size, picture.convert("RGB").tobytes()


def is_drawing(service: Service, request_id: str) -> bool:
    status = service.status(request_id)
    return bool(status["status"] == "processing" and 0 < status.get("progress", 0) < 100)


def test_the_stored_pictures_are_those_that_were_drawn(browser: Chromium, service: Service) -> None:
    configure(browser)

    request_id = service.submit("a red fox", model=MODEL, parameters={**SMALL, "numberOfImages": 2})
    result = service.final(request_id)

    assert result["status"] == "completed"
    drawn = [pixels(service, image["imagePath"]) for image in result["images"]]
    assert drawn == [((48, 32), rendered_pixels("a red fox", MODEL, 48, 32, position)) for position in (0, 1)]
    assert result["metadata"] | SMALL == result["metadata"]


def test_previews_are_sent_if_a_client_wants_partial_images(browser: Chromium, service: Service) -> None:
    configure(browser, delay_ms=250)
    client = OpenAI(api_key="any", base_url=service.url("/v1"), max_retries=0)
    with client.images.generate(prompt="a fox", model=MODEL, size="1024x512", stream=True, partial_images=2) as stream:
        *partials, last = list(stream)
    configure(browser)
    assert [(each.type, each.output_format) for each in partials] == [("image_generation.partial_image", "webp")] * 2
    sizes = [Image.open(io.BytesIO(base64.b64decode(each.b64_json))).size for each in (*partials, last)]
    assert sizes == [(512, 256), (512, 256), (1024, 512)]


def test_a_variation_and_an_edit_start_from_the_pictures_of_the_client(browser: Chromium, service: Service) -> None:
    configure(browser)
    content, before = picture(48, 32)
    source, mask = uploaded(service, content), uploaded(service, half_mask(48, 32))

    inputs = [{"inputId": source, "strength": 0.5}]
    variation = service.final(service.submit("a red fox", model=MODEL, inputImages=inputs))
    assert variation["status"] == "completed", variation
    size, varied = pixels(service, variation["imagePath"])
    assert (size, varied != before) == ((48, 32), True)

    inputs = [{"requestId": variation["requestId"], "position": 0, "strength": 1}, {"inputId": mask, "role": "mask"}]
    edit = service.final(service.submit("a red fox", model=MODEL, inputImages=inputs))
    assert edit["status"] == "completed", edit
    _, edited = pixels(service, edit["imagePath"])
    drawn = rendered_pixels("a red fox", MODEL, 48, 32)
    half, row = 24 * 3, 48 * 3
    for at in range(0, len(edited), row):
        assert edited[at : at + half] == varied[at : at + half]
        assert edited[at + half : at + row] == drawn[at + half : at + row]


def test_a_picture_that_is_too_large_for_a_message_is_delivered(browser: Chromium, service: Service) -> None:
    configure(browser)

    request_id = service.submit("far too large", model=MODEL, parameters={"width": 2400, "height": 2000})
    result = service.final(request_id, 60)

    assert result["status"] == "completed"
    assert result["images"][0]["bytes"] > 1_100_000


def test_progress_is_reported_to_the_client_and_the_popup(browser: Chromium, service: Service) -> None:
    configure(browser, delay_ms=300)

    request_id = service.submit("a slow fox", model=MODEL, parameters=SMALL)
    until(lambda: is_drawing(service, request_id), 20, "progress")
    shown = browser.until_status("status.jobs[0]?.progress > 0")["jobs"]

    assert [(job["requestId"], job["model"], job["prompt"]) for job in shown] == [(request_id, MODEL, "a slow fox")]
    assert service.final(request_id)["status"] == "completed"
    browser.until_status("status.jobs.length === 0 && status.unsent === 0")


def test_two_jobs_run_at_once_if_the_user_allows_it(browser: Chromium, service: Service) -> None:
    configure(browser, delay_ms=400, concurrency=2)

    requests = [service.submit(f"fox {number}", model=MODEL, parameters=SMALL) for number in range(2)]
    until(lambda: all(is_drawing(service, each) for each in requests), 20, "both to be in progress")

    assert [service.final(each)["status"] for each in requests] == ["completed"] * 2


def test_one_job_waits_for_the_other_if_only_one_is_allowed(browser: Chromium, service: Service) -> None:
    configure(browser, delay_ms=100)

    requests = [service.submit(f"vixen {number}", model=MODEL, parameters=SMALL) for number in range(2)]
    until(lambda: is_drawing(service, requests[0]), 20, "the first to be in progress")

    assert service.status(requests[1])["status"] == "accepted"
    assert [service.final(each)["status"] for each in requests] == ["completed"] * 2


def test_a_cancelled_job_frees_its_slot(browser: Chromium, service: Service) -> None:
    configure(browser, delay_ms=5_000)

    slow = service.submit("80 seconds of work", model=MODEL, parameters=SMALL)
    until(lambda: service.status(slow)["status"] == "processing", 20, "the job to start")
    browser.until_status("status.jobs.length === 1")
    service.delete(f"/api/images/{slow}")

    browser.until_status("status.jobs.length === 0 && status.unsent === 0")
    configure(browser)
    request_id = service.submit("the next", model=MODEL, parameters=SMALL)
    assert service.final(request_id)["status"] == "completed"
    assert service.status(slow)["status"] == "cancelled"


def test_completed_jobs_are_counted(browser: Chromium, service: Service) -> None:
    configure(browser)
    before = browser.status()["today"]["done"]

    assert service.final(service.submit(model=MODEL, parameters=SMALL))["status"] == "completed"

    assert browser.until_status(f"status.today.done === {before + 1}")["today"]["failed"] == 0


def test_a_paused_extension_finishes_its_jobs_and_accepts_no_more(browser: Chromium, service: Service) -> None:
    configure(browser, delay_ms=200)

    running = service.submit("running", model=MODEL, parameters=SMALL)
    until(lambda: is_drawing(service, running), 20, "the job to start")
    browser.save(paused=True)
    browser.until_status("status.notTaking === 'paused'")
    later = service.submit("later", model=MODEL, parameters=SMALL)

    assert service.final(running)["status"] == "completed"
    until(lambda: service.status(later).get("queue", {}).get("reason"), 20, "a reason for waiting")
    assert service.status(later)["status"] == "accepted"

    browser.save(paused=False)
    assert service.final(later)["status"] == "completed"
