"""Jobs with input pictures and every generator that can use them, in a real browser."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
from PIL import Image

from tests.support.chromium import Chromium, running_chromium
from tests.support.fake_generators import (
    FakeComfyUI,
    FakeOpenAI,
    FakeWebUI,
    Response,
    generated_image,
    running_generator,
)
from tests.support.input_images import CORS, half_mask, offered, picture
from tests.support.scripted_server import Reply, ScriptedServer
from tests.support.scripted_socket import Peer

JOB = "550e8400-e29b-41d4-a716-446655440000"
SIZE = (96, 64)
CONTENT, _ = picture(*SIZE)
MASK = half_mask(*SIZE)
OPERATIONS = ["image-variation", "image-edit"]
SETTINGS = {"token": "", "extensionId": "e1", "concurrency": 1, "paused": False}


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    """A browser that may access the generators."""
    with running_chromium(tmp_path_factory.mktemp("browser"), host_permissions=["http://127.0.0.1/*"]) as browser:
        yield browser


@pytest.fixture
def server(browser: Chromium) -> Iterator[ScriptedServer]:
    with ScriptedServer() as server:
        server.on("GET", "/api/websocket/info", Reply({"url": server.ws_url}, headers=CORS))
        yield server
        browser.save(server="")
        browser.until_status("status.state === 'unset'")


def entry(kind: str, models: tuple[str, ...] = ("m",), **settings: Any) -> dict[str, Any]:
    return {"id": kind, "kind": kind, "name": kind, "enabled": True, "models": models, "settings": settings}


def connect(browser: Chromium, server: ScriptedServer, *entries: dict[str, Any]) -> tuple[Peer, list[str]]:
    """The authenticated connection, and the capabilities that were announced."""
    browser.save(**SETTINGS, server=server.url, providers=list(entries))
    peer = server.sockets.next()
    return peer, peer.welcome()["metadata"]["capabilities"]


def assign(peer: Peer, server: ScriptedServer, *, masked: bool = False, **fields: Any) -> None:
    """Assign a job with an input picture of the strength 0.25, and a mask if wanted."""
    inputs = [offered(server, "1.png", CONTENT, strength=0.25)]
    if masked:
        inputs.append(offered(server, "mask.png", MASK, role="mask"))
    job = {"prompt": "a fox", "model": "m", "parameters": {}, "correlationId": "c-1", "lease": "l-1"}
    peer.send("generate_image", requestId=JOB, inputImages=inputs, **{**job, **fields})


def made(peer: Peer) -> dict[str, Any]:
    """The metadata of the picture, which is the generator's."""
    report = peer.receive("image_generated", 20)
    image = Image.open(io.BytesIO(base64.b64decode(report["imageUrl"].partition(",")[2]))).convert("RGB")
    assert (image.size, image.tobytes()) == (SIZE, generated_image(*SIZE).tobytes())
    metadata: dict[str, Any] = report["metadata"]
    return metadata


def opened(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content))


def test_an_images_api_gets_the_picture_and_the_mask_as_they_are(browser: Chromium, server: ScriptedServer) -> None:
    with running_generator(FakeOpenAI()) as openai:
        peer, capabilities = connect(browser, server, entry("openai", address=f"{openai.url}/v1", key="sk-good"))
        assign(peer, server, masked=True)
        metadata = made(peer)
        (sent,) = openai.requests_to("/v1/images/edits")

    assert capabilities == ["image-generation", "m", *OPERATIONS]
    assert (sent.body["image"], sent.body["mask"]) == (CONTENT, MASK)
    assert (sent.body["prompt"], sent.body["n"], sent.body["size"]) == ("a fox", "1", "96x64")
    assert metadata["ignoredParameters"] == ["strength"]


def test_an_images_api_without_edits_says_so_and_goes_on_with_other_jobs(
    browser: Chromium, server: ScriptedServer
) -> None:
    with running_generator(FakeOpenAI(refusal=Response({"detail": "Not Found"}, 404))) as openai:
        peer, _ = connect(browser, server, entry("openai", address=f"{openai.url}/v1", key="sk-good"))
        assign(peer, server)
        failure = peer.receive("image_generation_failed", 20)
        openai.refusal = None
        peer.send("generate_image", requestId=JOB, prompt="a fox", model="m", lease="l-2", parameters=_size())
        made(peer)

    assert "no address /images/edits (404)" in failure["reason"]
    assert (failure["retryable"], failure["retryAfterMs"]) == (True, 0)


def test_the_web_ui_gets_a_mask_that_is_white_where_the_picture_may_change(
    browser: Chromium, server: ScriptedServer
) -> None:
    with running_generator(FakeWebUI()) as webui:
        peer, capabilities = connect(browser, server, entry("automatic1111", address=webui.url))
        assign(peer, server, masked=True)
        metadata = made(peer)
        (sent,) = webui.requests_to("/sdapi/v1/img2img")

    assert capabilities == ["image-generation", "m", *OPERATIONS]
    assert base64.b64decode(sent.body["init_images"][0].partition(",")[2]) == CONTENT
    mask = opened(base64.b64decode(sent.body["mask"].partition(",")[2])).convert("RGBA")
    expected = Image.new("RGBA", SIZE, "black")
    expected.paste("white", (48, 0, 96, 64))
    assert mask.tobytes() == expected.tobytes()
    assert (sent.body["denoising_strength"], sent.body["inpainting_mask_invert"]) == (0.25, 0)
    assert "ignoredParameters" not in metadata


@pytest.mark.parametrize("masked", [False, True], ids=["a variation", "an edit"])
def test_comfyui_gets_the_pictures_uploaded_and_their_names_in_the_workflow(
    browser: Chromium, server: ScriptedServer, masked: bool
) -> None:
    example = browser.evaluate("(await import('/providers/comfyui_inputs.js')).INPUT_WORKFLOW")
    with running_generator(FakeComfyUI()) as comfyui:
        peer, capabilities = connect(browser, server, entry("comfyui", address=comfyui.url, inputWorkflow=example))
        assign(peer, server, masked=masked)
        metadata = made(peer)
        (sent,) = comfyui.requests_to("/prompt")

    assert capabilities == ["image-generation", "m", *OPERATIONS]
    nodes = sent.body["prompt"]
    assert comfyui.uploads[nodes["10"]["inputs"]["image"]] == CONTENT
    mask = opened(comfyui.uploads[nodes["13"]["inputs"]["image"]])
    assert (mask.size, nodes["3"]["inputs"]["denoise"]) == (SIZE, 0.25)
    wanted = opened(MASK).getchannel("A") if masked else Image.new("L", SIZE, 0)
    assert mask.getchannel("A").tobytes() == wanted.tobytes()
    assert "%" not in json.dumps(nodes)
    assert "ignoredParameters" not in metadata


def test_comfyui_without_a_workflow_for_it_announces_and_makes_no_variations(
    browser: Chromium, server: ScriptedServer
) -> None:
    with running_generator(FakeComfyUI()) as comfyui:
        peer, capabilities = connect(browser, server, entry("comfyui", address=comfyui.url))
        assign(peer, server)
        failure = peer.receive("image_generation_failed", 20)
        assert comfyui.requests == []

    assert capabilities == ["image-generation", "m"]
    assert failure == {
        "type": "image_generation_failed",
        "requestId": JOB,
        "correlationId": "c-1",
        "lease": "l-1",
        "error": "No generator for input pictures",
        "reason": "No generator here can make variations with the model m.",
        "code": "ERR_GENERATION_FAILED",
        "retryable": True,
        "retryAfterMs": 0,
    }
    assert server.requests_to("GET", "/inputs/1.png") == []


def test_of_two_generators_the_one_that_can_makes_the_variation(browser: Chromium, server: ScriptedServer) -> None:
    with running_generator(FakeComfyUI()) as comfyui, running_generator(FakeWebUI()) as webui:
        entries = [entry("comfyui", address=comfyui.url), entry("automatic1111", address=webui.url)]
        peer, capabilities = connect(browser, server, *entries)
        peer.send("generate_image", requestId=JOB, prompt="a fox", model="m", lease="l-1", parameters=_size())
        made(peer)
        peer.send("image_generation_confirmed", requestId=JOB)
        assign(peer, server, lease="l-2")
        made(peer)

        assert capabilities == ["image-generation", "m", *OPERATIONS]
        assert len(comfyui.requests_to("/prompt")) == 1
        assert [len(webui.requests_to(f"/sdapi/v1/{name}")) for name in ("txt2img", "img2img")] == [0, 1]


def test_a_change_of_what_is_possible_is_announced_at_once(browser: Chromium, server: ScriptedServer) -> None:
    _, before = connect(browser, server, entry("comfyui"))
    browser.save(providers=[entry("comfyui"), entry("canvas")])
    peer = server.sockets.next()

    assert before == ["image-generation", "m"]
    assert peer.welcome()["metadata"]["capabilities"] == ["image-generation", "m", *OPERATIONS]


def _size() -> dict[str, int]:
    return {"width": SIZE[0], "height": SIZE[1]}
