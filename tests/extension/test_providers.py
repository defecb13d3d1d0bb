"""Each of the extension's generators in a real browser, with the real service, against a counterpart on this machine."""

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
from tests.support.generators import Answer, ComfyUI, OpenAI, WebUI, generated, running
from tests.support.service import Service
from tests.support.waiting import until

SIZE = (96, 64)
GRANTED = {
    "host_permissions": ["http://127.0.0.1/*"],
    "permissions": ["storage", "alarms", "scripting", "declarativeNetRequestWithHostAccess"],
    "optional_permissions": [],
}
IMAGES = "/v1/images/generations"
numbers = itertools.count(1)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory, service: Service) -> Iterator[Chromium]:
    """A browser whose user has allowed everything that a generator asks for."""
    with running_chromium(tmp_path_factory.mktemp("browser"), service.url(), **GRANTED) as browser:
        browser.until_status("status.state === 'connected'")
        yield browser


@pytest.fixture
def openai() -> Iterator[OpenAI]:
    with running(OpenAI()) as generator:
        yield generator


@pytest.fixture
def webui() -> Iterator[WebUI]:
    with running(WebUI()) as generator:
        yield generator


@pytest.fixture
def comfyui() -> Iterator[ComfyUI]:
    with running(ComfyUI()) as generator:
        yield generator


def use(browser: Chromium, kind: str, **settings: Any) -> str:
    """Have the extension use this, and nothing else; the model to ask for. It goes by a new name, so that what the
    service holds against the old one, as a pause that it asked for, does not count."""
    number = next(numbers)
    model = f"model-{number}-of-{kind}"
    entry = {"id": f"e{number}", "kind": kind, "name": kind, "enabled": True, "models": [model], "settings": settings}
    browser.save(providers=[entry], extensionId=f"generators-{number}")
    browser.until_status("status.state === 'connected' && status.jobs.length === 0")
    return model


def submit(service: Service, model: str, size: tuple[int, int] = SIZE, **parameters: Any) -> str:
    return service.submit("a red fox", model=model, parameters={"width": size[0], "height": size[1], **parameters})


def stored(service: Service, result: Any) -> Image.Image:
    """The picture on the disk."""
    assert result["status"] == "completed", result
    content = (service.folder / "pictures" / Path(result["imagePath"]).name).read_bytes()
    return Image.open(io.BytesIO(content)).convert("RGB")


def is_as_generated(service: Service, result: Any) -> bool:
    picture = stored(service, result)
    return picture.size == SIZE and picture.tobytes() == generated(*SIZE).tobytes()


def given_back(service: Service, request_id: str) -> tuple[str, str]:
    """Code and words of the first try, which failed so that another may do better, as clients can read them."""
    until(lambda: service.row(request_id).strikes == 1, 60, "the try to fail")
    service.delete(f"/api/images/{request_id}")
    stream = service.get(f"/api/images/{request_id}/events").content.decode()
    events = [json.loads(line.removeprefix("data: ")) for line in stream.splitlines() if line.startswith("data: ")]
    data = next(event["data"] for event in events if event["type"] == "ImageGenerationRequeuedEvent")
    return data["code"], data["reason"]


def call_off(browser: Chromium, service: Service, request_id: str) -> None:
    """Cancel it, and wait until the extension has heard."""
    service.delete(f"/api/images/{request_id}")
    browser.until_status("status.jobs.length === 0")


# An images API


@pytest.mark.parametrize("by_url", [False, True], ids=["in base64", "by an address"])
def test_an_images_api_makes_the_picture(browser: Chromium, service: Service, openai: OpenAI, by_url: bool) -> None:
    openai.by_url = by_url
    model = use(browser, "openai", address=f"{openai.url}/v1", key="sk-good")

    result = service.final(submit(service, model), 60)

    assert is_as_generated(service, result)
    assert openai.asked_for(IMAGES)[0].body["model"] == model


def test_content_that_an_images_api_refuses_is_tried_no_more(
    browser: Chromium, service: Service, openai: OpenAI
) -> None:
    error = {"code": "content_policy_violation", "message": "Your request was rejected by our safety system."}
    openai.refusal = Answer({"error": error}, 400)
    model = use(browser, "openai", address=f"{openai.url}/v1", key="sk-good")

    result = service.final(submit(service, model), 60)

    assert (result["status"], result["error"], result["reason"]) == (
        "failed",
        "The prompt was refused",
        error["message"],
    )
    assert service.row(result["requestId"]).strikes == 0


def test_an_images_api_that_takes_no_more_sends_the_job_elsewhere(
    browser: Chromium, service: Service, openai: OpenAI
) -> None:
    openai.refusal = Answer({"error": {"message": "Slow down"}}, 429, {"Retry-After": "600"})
    model = use(browser, "openai", address=f"{openai.url}/v1", key="sk-good")

    code, words = given_back(service, submit(service, model))

    assert code == "ERR_RATE_LIMIT"
    assert words.endswith("takes no more for now: Slow down")


def test_a_key_that_is_not_good_sends_the_job_elsewhere(browser: Chromium, service: Service, openai: OpenAI) -> None:
    model = use(browser, "openai", address=f"{openai.url}/v1", key="sk-bad")

    _, words = given_back(service, submit(service, model))

    assert words.startswith("Not let in by the generator: ")
    assert words.endswith("(401): Incorrect API key provided.")


# AUTOMATIC1111


def test_the_web_ui_makes_the_picture_and_says_how_far_it_is(browser: Chromium, service: Service, webui: WebUI) -> None:
    webui.busy.set()
    model = use(browser, "automatic1111", address=webui.url, steps=7)

    request_id = submit(service, model, seed=5)
    until(lambda: service.status(request_id).get("progress") == 50, 60, "half of it to be done")
    webui.busy.clear()

    assert is_as_generated(service, service.final(request_id, 60))
    asked = webui.asked_for("/sdapi/v1/txt2img")[0].body
    assert (asked["prompt"], asked["steps"], asked["seed"]) == ("a red fox", 7, 5)


def test_the_web_ui_is_interrupted_where_the_job_is_called_off(
    browser: Chromium, service: Service, webui: WebUI
) -> None:
    webui.busy.set()
    model = use(browser, "automatic1111", address=webui.url)

    request_id = submit(service, model)
    until(lambda: service.status(request_id).get("progress") == 50, 60, "half of it to be done")
    call_off(browser, service, request_id)

    until(lambda: webui.interrupts == 1, 20, "the web UI to be interrupted")


# ComfyUI


@pytest.mark.parametrize("deaf", [False, True], ids=["which tells of it", "which tells of nothing"])
def test_comfyui_makes_the_picture(browser: Chromium, service: Service, comfyui: ComfyUI, deaf: bool) -> None:
    comfyui.deaf = deaf
    comfyui.busy.set()
    model = use(browser, "comfyui", address=comfyui.url)

    request_id = submit(service, model)
    if deaf:
        until(lambda: comfyui.asked_for("/queue", "GET"), 60, "the extension to ask how it goes")
    else:
        until(lambda: service.status(request_id).get("progress") == 47, 60, "half of it to be done")
    comfyui.busy.clear()

    assert is_as_generated(service, service.final(request_id, 60))


def test_comfyui_stops_where_the_job_is_called_off(browser: Chromium, service: Service, comfyui: ComfyUI) -> None:
    comfyui.busy.set()
    model = use(browser, "comfyui", address=comfyui.url)

    request_id = submit(service, model)
    until(lambda: service.status(request_id).get("progress") == 47, 60, "half of it to be done")
    call_off(browser, service, request_id)

    until(lambda: len(comfyui.interrupted) == 1, 20, "ComfyUI to be interrupted")
    assert comfyui.interrupted == [comfyui.asked_for("/prompt")[-1].body["prompt_id"]]


def test_comfyui_that_turns_the_browser_away_is_explained(
    browser: Chromium, service: Service, comfyui: ComfyUI
) -> None:
    comfyui.open_to_all = False
    model = use(browser, "comfyui", address=comfyui.url)

    _, words = given_back(service, submit(service, model))

    assert "Start ComfyUI with --enable-cors-header" in words


def test_comfyui_lets_in_a_browser_that_does_not_say_where_it_comes_from(
    browser: Chromium, service: Service, comfyui: ComfyUI
) -> None:
    comfyui.open_to_all = False
    model = use(browser, "comfyui", address=comfyui.url, hideOrigin=True)

    assert is_as_generated(service, service.final(submit(service, model), 60))
    assert {question.path for question in comfyui.asked if "origin" in question.headers} <= {"/ws"}


def test_what_went_wrong_in_comfyui_is_passed_on(browser: Chromium, service: Service, comfyui: ComfyUI) -> None:
    comfyui.fails = "Allocation on device"
    model = use(browser, "comfyui", address=comfyui.url)

    _, words = given_back(service, submit(service, model))

    assert words == "The generator failed: KSampler: Allocation on device"


# Pages, with the service's own demonstration


def recipe(browser: Chromium, service: Service, query: str = "", **changes: Any) -> Any:
    """The recipe that the options page offers, for a state of the demonstration."""
    script = f"(await import('/providers/demo_recipe.js')).demoRecipe({json.dumps(service.url())})"
    offered = browser.evaluate(script)
    return {**offered, "url": f"{offered['url']}{query}", **changes}


def open_studios(browser: Chromium) -> list[str]:
    """The addresses of the tabs that show the demonstration."""
    targets = browser.pipe.call("Target.getTargets")["targetInfos"]
    return [each["url"] for each in targets if each["type"] == "page" and "/extension/demo" in each["url"]]


def until_closed(browser: Chromium) -> None:
    """Wait until no tab shows it; the browser is done with closing one some moments after it is told to."""
    until(lambda: not open_studios(browser), 20, "the page to be closed")


def test_a_page_makes_the_same_picture_in_whatever_way_it_shows_it(browser: Chromium, service: Service) -> None:
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


def test_a_page_tells_how_far_it_is(browser: Chromium, service: Service) -> None:
    model = use(browser, "page", recipe=recipe(browser, service, "?state=stuck"))

    request_id = submit(service, model)

    # The studio gets stuck in the third of its five steps.
    until(lambda: service.status(request_id).get("progress") == 42, 60, "progress as the page shows it")
    call_off(browser, service, request_id)


def test_a_page_that_is_at_work_is_closed_where_the_job_is_called_off(browser: Chromium, service: Service) -> None:
    model = use(browser, "page", recipe=recipe(browser, service, "?state=stuck"))

    request_id = submit(service, model)
    until(lambda: open_studios(browser), 60, "the page to open")
    call_off(browser, service, request_id)

    until_closed(browser)


def test_a_prompt_that_a_page_refuses_is_tried_no_more(browser: Chromium, service: Service) -> None:
    model = use(browser, "page", recipe=recipe(browser, service, "?state=refused"))

    result = service.final(submit(service, model), 90)

    assert (result["status"], result["error"]) == ("failed", "The prompt was refused")
    assert result["reason"] == "The studio does not paint this: it goes against the rules of the house."
    assert service.row(result["requestId"]).strikes == 0
    until_closed(browser)


@pytest.mark.parametrize(
    ("state", "code", "words"),
    [
        ("rate-limited", RATE_LIMIT, "Rate limit exceeded: Too many pictures for now. Try again in 45 seconds."),
        (
            "captcha",
            GENERATION_FAILED,
            "The page asks for a person: {host} wants to see a person: open it in this browser and answer it.",
        ),
        ("logged-out", GENERATION_FAILED, "Not signed in: {host} wants somebody to sign in: do so in this browser."),
    ],
)
def test_what_keeps_a_page_from_working_sends_the_job_elsewhere(
    browser: Chromium, service: Service, state: str, code: str, words: str
) -> None:
    model = use(browser, "page", recipe=recipe(browser, service, f"?state={state}"))

    assert given_back(service, submit(service, model)) == (
        code,
        words.format(host=service.url().removeprefix("http://")),
    )
    until_closed(browser)


def test_a_step_that_does_not_work_out_is_named(browser: Chromium, service: Service) -> None:
    steps = [{"fill": "#prompt", "with": "%prompt%"}, {"choose": "#light", "option": "midnight", "timeoutMs": 5000}]
    model = use(browser, "page", recipe=recipe(browser, service, steps=steps))

    _, words = given_back(service, submit(service, model))

    assert words.startswith("The page did not do as the recipe says: ")
    assert words.endswith('step 2 (choose "#light") did not work out, as it has no option "midnight".')
    until_closed(browser)


def test_a_page_that_may_not_be_looked_at_is_told_from_one_that_is_not_there(
    browser: Chromium, service: Service
) -> None:
    forbidden = recipe(browser, service)["url"].replace("127.0.0.1", "localhost")
    model = use(browser, "page", recipe=recipe(browser, service, url=forbidden))
    _, words = given_back(service, submit(service, model))
    assert words.startswith("Not allowed on this page: ")

    model = use(browser, "page", recipe=recipe(browser, service, url="http://127.0.0.1:9/"))
    _, words = given_back(service, submit(service, model))
    assert words.startswith("The page cannot be reached: ")


def test_a_page_that_a_worker_left_open_is_closed_by_the_next(browser: Chromium, service: Service) -> None:
    model = use(browser, "page", recipe=recipe(browser, service, "?state=stuck"))
    request_id = submit(service, model)
    until(lambda: service.status(request_id).get("progress") == 42, 60, "the page to work")

    browser.kill_worker()
    assert len(open_studios(browser)) == 1
    browser.save(providers=[])  # which wakes it
    browser.until_status("status.state === 'connected'")
    call_off(browser, service, request_id)
    model = use(browser, "page", recipe=recipe(browser, service))

    assert service.final(submit(service, model), 90)["status"] == "completed"
    until_closed(browser)
