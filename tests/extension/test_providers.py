"""Every provider in a real browser, with the real service and a fake generator."""

from __future__ import annotations

import io
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from app.domain.errors import GENERATION_FAILED, RATE_LIMIT
from tests.support.chromium import Chromium, running_chromium
from tests.support.fake_generators import Response, FakeComfyUI, FakeOpenAI, FakeWebUI, generated_image, running_generator
from tests.support.service import Service
from tests.support.waiting import until

SIZE = (96, 64)
GRANTED = {
    "host_permissions": ["http://127.0.0.1/*"],
    "permissions": ["storage", "alarms", "declarativeNetRequestWithHostAccess", "scripting"],
    "optional_permissions": [],
}
IMAGES = "/v1/images/generations"
numbers = itertools.count(1)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory, service: Service) -> Iterator[Chromium]:
    """A browser with all permissions that a generator needs."""
    with running_chromium(tmp_path_factory.mktemp("browser"), service.url(), **GRANTED) as browser:
        browser.until_status("status.state === 'connected'")
        yield browser


@pytest.fixture
def openai() -> Iterator[FakeOpenAI]:
    with running_generator(FakeOpenAI()) as generator:
        yield generator


@pytest.fixture
def webui() -> Iterator[FakeWebUI]:
    with running_generator(FakeWebUI()) as generator:
        yield generator


@pytest.fixture
def comfyui() -> Iterator[FakeComfyUI]:
    with running_generator(FakeComfyUI()) as generator:
        yield generator


def use(browser: Chromium, kind: str, **settings: Any) -> str:
    """Configure this provider only, and return its model. The extension gets a new name, so that delays that the service
    applies to the old one have no effect."""
    number = next(numbers)
    model = f"model-{number}-of-{kind}"
    entry = {"id": f"e{number}", "kind": kind, "name": kind, "enabled": True, "models": [model], "settings": settings}
    browser.save(providers=[entry], extensionId=f"generators-{number}")
    browser.until_status("status.state === 'connected' && status.jobs.length === 0")
    return model


def submit(service: Service, model: str, size: tuple[int, int] = SIZE, **parameters: Any) -> str:
    return service.submit("a red fox", model=model, parameters={"width": size[0], "height": size[1], **parameters})


def stored(service: Service, result: Any) -> Image.Image:
    """The stored picture."""
    assert result["status"] == "completed", result
    content = (service.folder / "pictures" / Path(result["imagePath"]).name).read_bytes()
    return Image.open(io.BytesIO(content)).convert("RGB")


def is_as_generated(service: Service, result: Any) -> bool:
    picture = stored(service, result)
    return picture.size == SIZE and picture.tobytes() == generated_image(*SIZE).tobytes()


def first_failure(service: Service, request_id: str) -> tuple[str, str]:
    """Code and reason of the first, retryable failure, as clients see them."""
    until(lambda: service.row(request_id).strikes == 1, 60, "the first attempt to fail")
    service.delete(f"/api/images/{request_id}")
    stream = service.get(f"/api/images/{request_id}/events").content.decode()
    events = [json.loads(line.removeprefix("data: ")) for line in stream.splitlines() if line.startswith("data: ")]
    data = next(event["data"] for event in events if event["type"] == "ImageGenerationRequeuedEvent")
    return data["code"], data["reason"]


def cancel(browser: Chromium, service: Service, request_id: str) -> None:
    """Cancel the request and wait until the extension has stopped it."""
    service.delete(f"/api/images/{request_id}")
    browser.until_status("status.jobs.length === 0")


# An images API


@pytest.mark.parametrize("by_url", [False, True], ids=["in base64", "by an address"])
def test_an_images_api_makes_the_picture(browser: Chromium, service: Service, openai: FakeOpenAI, by_url: bool) -> None:
    openai.by_url = by_url
    model = use(browser, "openai", address=f"{openai.url}/v1", key="sk-good")

    result = service.final(submit(service, model), 60)

    assert is_as_generated(service, result)
    assert openai.requests_to(IMAGES)[0].body["model"] == model


def test_content_that_an_images_api_refuses_is_not_retried(browser: Chromium, service: Service, openai: FakeOpenAI) -> None:
    error = {"code": "content_policy_violation", "message": "Your request was rejected by our safety system."}
    openai.refusal = Response({"error": error}, 400)
    model = use(browser, "openai", address=f"{openai.url}/v1", key="sk-good")

    result = service.final(submit(service, model), 60)

    assert (result["status"], result["error"], result["reason"]) == (
        "failed",
        "The prompt was refused",
        error["message"],
    )
    assert service.row(result["requestId"]).strikes == 0


def test_a_rate_limited_images_api_makes_the_request_available_to_others(
    browser: Chromium, service: Service, openai: FakeOpenAI
) -> None:
    openai.refusal = Response({"error": {"message": "Slow down"}}, 429, {"Retry-After": "600"})
    model = use(browser, "openai", address=f"{openai.url}/v1", key="sk-good")

    code, reason = first_failure(service, submit(service, model))

    assert code == "ERR_RATE_LIMIT"
    assert reason.endswith("accepts no more requests for now (429): Slow down")


def test_an_invalid_key_makes_the_request_available_to_others(
    browser: Chromium, service: Service, openai: FakeOpenAI
) -> None:
    model = use(browser, "openai", address=f"{openai.url}/v1", key="sk-bad")

    _, reason = first_failure(service, submit(service, model))

    assert reason.startswith("Access denied by the generator: ")
    assert reason.endswith("(401): Incorrect API key provided.")


# AUTOMATIC1111


def test_the_web_ui_makes_the_picture_and_reports_progress(browser: Chromium, service: Service, webui: FakeWebUI) -> None:
    webui.busy.set()
    model = use(browser, "automatic1111", address=webui.url, steps=7)

    request_id = submit(service, model, seed=5)
    until(lambda: service.status(request_id).get("progress") == 50, 60, "half of it to be done")
    webui.busy.clear()

    assert is_as_generated(service, service.final(request_id, 60))
    sent = webui.requests_to("/sdapi/v1/txt2img")[0].body
    assert (sent["prompt"], sent["steps"], sent["seed"]) == ("a red fox", 7, 5)


def test_a_cancelled_job_interrupts_the_web_ui(browser: Chromium, service: Service, webui: FakeWebUI) -> None:
    webui.busy.set()
    model = use(browser, "automatic1111", address=webui.url)

    request_id = submit(service, model)
    until(lambda: service.status(request_id).get("progress") == 50, 60, "half of it to be done")
    cancel(browser, service, request_id)

    until(lambda: webui.interrupts == 1, 20, "the web UI to be interrupted")


# ComfyUI


@pytest.mark.parametrize("deaf", [False, True], ids=["with progress", "without progress"])
def test_comfyui_makes_the_picture(browser: Chromium, service: Service, comfyui: FakeComfyUI, deaf: bool) -> None:
    comfyui.sends_no_events = deaf
    comfyui.busy.set()
    model = use(browser, "comfyui", address=comfyui.url)

    request_id = submit(service, model)
    if deaf:
        until(lambda: comfyui.requests_to("/queue", "GET"), 60, "the extension to poll the queue")
    else:
        until(lambda: service.status(request_id).get("progress") == 47, 60, "half of it to be done")
    comfyui.busy.clear()

    assert is_as_generated(service, service.final(request_id, 60))


def test_a_cancelled_job_interrupts_comfyui(browser: Chromium, service: Service, comfyui: FakeComfyUI) -> None:
    comfyui.busy.set()
    model = use(browser, "comfyui", address=comfyui.url)

    request_id = submit(service, model)
    until(lambda: service.status(request_id).get("progress") == 47, 60, "half of it to be done")
    cancel(browser, service, request_id)

    until(lambda: len(comfyui.interrupted) == 1, 20, "ComfyUI to be interrupted")
    assert comfyui.interrupted == [comfyui.requests_to("/prompt")[-1].body["prompt_id"]]


def test_a_rejected_origin_is_explained(browser: Chromium, service: Service, comfyui: FakeComfyUI) -> None:
    comfyui.allows_any_origin = False
    model = use(browser, "comfyui", address=comfyui.url)

    _, reason = first_failure(service, submit(service, model))

    assert "Start ComfyUI with --enable-cors-header" in reason


def test_the_check_of_comfyui_fails_where_a_job_would(
    browser: Chromium, service: Service, comfyui: FakeComfyUI
) -> None:
    comfyui.allows_any_origin = False

    def check() -> Any:
        (entry,) = browser.evaluate("(await (await import('/shared/settings.js')).load()).providers")
        request = json.dumps({"type": "check", "providerId": entry["id"]})
        return browser.evaluate(f"await chrome.runtime.sendMessage({request})")

    use(browser, "comfyui", address=comfyui.url)
    assert "Start ComfyUI with --enable-cors-header" in check()["error"]

    use(browser, "comfyui", address=comfyui.url, hideOrigin=True)
    message = "Connected, and the workflow can be used. Checkpoint: fox.safetensors."
    assert check() == {"ok": True, "message": message}
    assert [each.body for each in comfyui.requests_to("/prompt")] == [{}, {}]


def test_comfyui_accepts_requests_without_an_origin(browser: Chromium, service: Service, comfyui: FakeComfyUI) -> None:
    comfyui.allows_any_origin = False
    model = use(browser, "comfyui", address=comfyui.url, hideOrigin=True)

    assert is_as_generated(service, service.final(submit(service, model), 60))
    assert {question.path for question in comfyui.requests if "origin" in question.headers} <= {"/ws"}


def test_errors_of_comfyui_are_passed_on(browser: Chromium, service: Service, comfyui: FakeComfyUI) -> None:
    comfyui.fails = "Allocation on device"
    model = use(browser, "comfyui", address=comfyui.url)

    _, reason = first_failure(service, submit(service, model))

    assert reason == "The generator failed: KSampler: Allocation on device"


# Page recipes, with the service's demonstration page


def recipe(browser: Chromium, service: Service, query: str = "", **changes: Any) -> Any:
    """The example recipe, for a state of the demonstration page."""
    script = f"(await import('/providers/demo_recipe.js')).demoRecipe({json.dumps(service.url())})"
    example = browser.evaluate(script)
    return {**example, "url": f"{example['url']}{query}", **changes}


def open_demo_tabs(browser: Chromium) -> list[str]:
    """The addresses of the tabs with the demonstration page."""
    targets = browser.pipe.call("Target.getTargets")["targetInfos"]
    return [each["url"] for each in targets if each["type"] == "page" and "/extension/demo" in each["url"]]


def until_closed(browser: Chromium) -> None:
    """Wait until all tabs with the demonstration page are closed."""
    until(lambda: not open_demo_tabs(browser), 20, "the page to be closed")


def test_all_kinds_of_picture_elements_give_the_same_picture(browser: Chromium, service: Service) -> None:
    pictures = []
    for show, selector in {
        "img": "#picture",
        "canvas": "#canvas",
        "background": "#backdrop",
        "link": "#download",
    }.items():
        model = use(browser, "page", recipe=recipe(browser, service, f"?show={show}", picture={show: selector}))
        pictures.append(stored(service, service.final(submit(service, model), 90)))

    assert [picture.size for picture in pictures] == [SIZE] * 4
    assert len({picture.tobytes() for picture in pictures}) == 1
    assert len(pictures[0].getcolors(SIZE[0] * SIZE[1]) or []) > 500
    until_closed(browser)


def test_the_page_s_progress_is_reported(browser: Chromium, service: Service) -> None:
    model = use(browser, "page", recipe=recipe(browser, service, "?state=stuck"))

    request_id = submit(service, model)

    # The page stops in the third of its five steps.
    until(lambda: service.status(request_id).get("progress") == 42, 60, "the page's progress")
    cancel(browser, service, request_id)


def test_a_cancelled_job_closes_its_tab(browser: Chromium, service: Service) -> None:
    model = use(browser, "page", recipe=recipe(browser, service, "?state=stuck"))

    request_id = submit(service, model)
    until(lambda: open_demo_tabs(browser), 60, "the page to open")
    cancel(browser, service, request_id)

    until_closed(browser)


def test_a_prompt_that_a_page_refuses_is_not_retried(browser: Chromium, service: Service) -> None:
    model = use(browser, "page", recipe=recipe(browser, service, "?state=refused"))

    result = service.final(submit(service, model), 90)

    assert (result["status"], result["error"]) == ("failed", "The prompt was refused")
    assert result["reason"] == "The studio does not paint this: it goes against the rules of the house."
    assert service.row(result["requestId"]).strikes == 0
    until_closed(browser)


@pytest.mark.parametrize(
    ("state", "code", "reason"),
    [
        ("rate-limited", RATE_LIMIT, "Rate limit exceeded: Too many pictures for now. Try again in 45 seconds."),
        (
            "captcha",
            GENERATION_FAILED,
            "The page shows a captcha: {host} shows a captcha. Open the page in this browser and solve it.",
        ),
        ("logged-out", GENERATION_FAILED, "Not signed in: {host} requires a login. Sign in with this browser."),
    ],
)
def test_a_page_that_cannot_be_used_makes_the_request_available_to_others(
    browser: Chromium, service: Service, state: str, code: str, reason: str
) -> None:
    model = use(browser, "page", recipe=recipe(browser, service, f"?state={state}"))

    assert first_failure(service, submit(service, model)) == (
        code,
        reason.format(host=service.url().removeprefix("http://")),
    )
    until_closed(browser)


def test_a_failed_step_is_named(browser: Chromium, service: Service) -> None:
    steps = [{"fill": "#prompt", "with": "%prompt%"}, {"choose": "#light", "option": "midnight", "timeoutMs": 5000}]
    model = use(browser, "page", recipe=recipe(browser, service, steps=steps))

    _, reason = first_failure(service, submit(service, model))

    assert reason.startswith("The recipe does not work on this page: ")
    assert reason.endswith('step 2 (choose "#light") failed: the list has no option "midnight".')
    until_closed(browser)


def test_a_forbidden_page_gets_no_jobs_and_an_unreachable_one_fails(browser: Chromium, service: Service) -> None:
    forbidden = recipe(browser, service)["url"].replace("127.0.0.1", "localhost")
    use(browser, "page", recipe=recipe(browser, service, url=forbidden))
    (state,) = browser.until_status("status.notTaking === 'setup'")["providers"]
    assert state["problem"] == "The extension is not allowed to access http://localhost yet."

    model = use(browser, "page", recipe=recipe(browser, service, url="http://127.0.0.1:9/"))
    _, reason = first_failure(service, submit(service, model))
    assert reason.startswith("The page cannot be reached: ")


def test_tabs_that_a_stopped_worker_left_open_are_closed_by_the_next(browser: Chromium, service: Service) -> None:
    model = use(browser, "page", recipe=recipe(browser, service, "?state=stuck"))
    request_id = submit(service, model)
    until(lambda: service.status(request_id).get("progress") == 42, 60, "the page to make progress")

    browser.kill_worker()
    assert len(open_demo_tabs(browser)) == 1
    browser.save(providers=[])  # starts the worker
    browser.until_status("status.state === 'connected'")
    cancel(browser, service, request_id)
    model = use(browser, "page", recipe=recipe(browser, service))

    assert service.final(submit(service, model), 90)["status"] == "completed"
    until_closed(browser)
