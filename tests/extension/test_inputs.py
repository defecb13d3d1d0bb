"""Jobs with input pictures: the built-in renderer in a real browser, with a scripted server."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from typing import Any

import pytest
from PIL import Image

from tests.support.chromium import Chromium, running_chromium
from tests.support.input_images import CORS, half_mask, offered, picture
from tests.support.reference_renderer import rendered_pixels
from tests.support.scripted_server import Reply, ScriptedServer
from tests.support.scripted_socket import Peer
from tests.support.waiting import until

JOB = "550e8400-e29b-41d4-a716-446655440000"
SIZE = (32, 16)
CONTENT, PIXELS = picture(*SIZE)
OPERATIONS = ["image-variation", "image-edit"]
SETTINGS = {"token": "", "extensionId": "e1", "concurrency": 1, "paused": False}
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="32" height="16"/>'


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    """A browser that has no access to the server but by CORS."""
    with running_chromium(tmp_path_factory.mktemp("browser")) as browser:
        yield browser


@pytest.fixture
def server(browser: Chromium) -> Iterator[ScriptedServer]:
    """A scripted server; its address is removed from the extension after the test."""
    with ScriptedServer() as server:
        server.on("GET", "/api/websocket/info", Reply({"url": server.ws_url}, headers=CORS))
        yield server
        browser.save(server="")
        browser.until_status("status.state === 'unset'")


def connect(browser: Chromium, server: ScriptedServer, *entries: dict[str, Any]) -> Peer:
    """Set the server's address; returns the extension's first connection, not authenticated."""
    browser.save(**SETTINGS, server=server.url, providers=list(entries or [canvas()]))
    return server.sockets.next()


def canvas(models: tuple[str, ...] = ("*",), **settings: Any) -> dict[str, Any]:
    return {
        "id": "canvas",
        "kind": "canvas",
        "name": "Test pictures",
        "enabled": True,
        "models": models,
        "settings": settings,
    }


def assign(peer: Peer, inputs: list[dict[str, Any]], **fields: Any) -> None:
    """Assign a job with these input pictures."""
    job = {"prompt": "a fox", "model": "m", "parameters": {}, "correlationId": "c-1", "lease": "l-1"}
    peer.send("generate_image", requestId=JOB, inputImages=inputs, **{**job, **fields})


def pixels(data_url: str) -> bytes:
    image = Image.open(io.BytesIO(base64.b64decode(data_url.partition(",")[2])))
    assert image.size == SIZE
    return image.convert("RGB").tobytes()


def mixed(strength: float, mask: bytes | None = None) -> bytes:
    """The picture that the renderer makes: what it draws, laid over the input where the mask is transparent."""
    drawn = rendered_pixels("a fox", "m", *SIZE)
    alpha = Image.open(io.BytesIO(mask)).getchannel("A").tobytes() if mask else bytes(len(drawn) // 3)
    opacity = round(strength * 256)
    return bytes(
        below + (above - below) * (opacity * (255 - alpha[at // 3]) // 255) // 256
        for at, (below, above) in enumerate(zip(PIXELS, drawn, strict=True))
    )


def test_the_operations_are_announced_after_the_models(browser: Chromium, server: ScriptedServer) -> None:
    metadata = connect(browser, server, canvas(("one", "two"))).welcome()["metadata"]
    assert metadata["capabilities"] == ["image-generation", "one", "two", *OPERATIONS]


@pytest.mark.parametrize(
    ("given", "used"), [({}, 0.5), ({"strength": 0}, 0), ({"strength": 1}, 1), ({"strength": 0.3}, 0.3)]
)
def test_a_variation_is_as_far_from_its_picture_as_the_strength_says(
    browser: Chromium, server: ScriptedServer, given: dict[str, Any], used: float
) -> None:
    peer = connect(browser, server)
    peer.welcome()
    assign(peer, [offered(server, "1.png", CONTENT, **given)])
    report = peer.receive("image_generated")

    assert pixels(report["imageUrl"]) == mixed(used)
    assert (pixels(report["imageUrl"]) == PIXELS) == (used == 0)
    assert report["metadata"] | {"width": 32, "height": 16} == report["metadata"], "the size of the input picture"
    assert "ignoredParameters" not in report["metadata"]
    (fetched,) = server.requests_to("GET", "/inputs/1.png")
    assert (fetched.query, "authorization" in fetched.headers) == ({"signature": "s"}, False)


def test_an_edit_changes_only_where_the_mask_is_transparent(browser: Chromium, server: ScriptedServer) -> None:
    mask = half_mask(*SIZE)
    peer = connect(browser, server)
    peer.welcome()
    assign(
        peer,
        [
            offered(server, "1.png", CONTENT, strength=1),
            offered(server, "mask.png", mask, role="mask"),
        ],
    )
    made = pixels(peer.receive("image_generated")["imageUrl"])

    assert made == mixed(1, mask)
    rows = [(made[at : at + 96], PIXELS[at : at + 96]) for at in range(0, len(made), 96)]
    assert all(new[:48] == old[:48] for new, old in rows)
    assert all(new[48:] != old[48:] for new, old in rows)


@pytest.mark.parametrize(
    ("announced", "reply", "reason", "retryable"),
    [
        (CONTENT, Reply(CONTENT[:-1] + b"x", headers=CORS), "Input picture 1 is not the file", True),
        (
            CONTENT,
            Reply(CONTENT[:99], headers={**CORS, "Content-Length": str(len(CONTENT))}, cut=True),
            "cannot be fe",
            True,
        ),
        (CONTENT, Reply(status=404, headers=CORS), "Input picture 1 cannot be fetched", True),
        (SVG, Reply(SVG, headers=CORS), "Input picture 1 is not a PNG file.", False),
        (bytes(30_000_000), Reply(bytes(30_000_000), headers=CORS), "Input picture 1 has more than 20 MiB.", False),
        (CONTENT[:40], Reply(CONTENT[:40], headers=CORS), "cannot be decoded", False),
    ],
    ids=["a wrong hash", "a broken transfer", "404", "an SVG", "30 MB", "half a PNG file"],
)
def test_an_input_that_cannot_be_used_is_a_failure_that_says_why(
    browser: Chromium, server: ScriptedServer, announced: bytes, reply: Reply, reason: str, retryable: bool
) -> None:
    peer = connect(browser, server)
    peer.welcome()
    assign(peer, [offered(server, "1.png", announced, reply)])
    failure = peer.receive("image_generation_failed", 20)

    assert reason in failure["reason"]
    assert (failure["requestId"], failure["lease"], failure["retryable"]) == (JOB, "l-1", retryable)
    assert browser.until_status("status.jobs.length === 0")["unsent"] == 0


def test_a_mask_of_another_size_is_a_failure(browser: Chromium, server: ScriptedServer) -> None:
    peer = connect(browser, server)
    peer.welcome()
    assign(
        peer,
        [offered(server, "1.png", CONTENT), offered(server, "mask.png", half_mask(16, 32), role="mask")],
    )
    failure = peer.receive("image_generation_failed")
    assert (failure["reason"], failure["retryable"]) == ("The mask has 16 × 32 px, and the picture has 32 × 16.", False)


def test_a_later_worker_fetches_the_inputs_again(browser: Chromium, server: ScriptedServer) -> None:
    peer = connect(browser, server, canvas(delayMs=200))
    peer.welcome()
    assign(peer, [offered(server, "1.png", CONTENT, strength=1)])
    until(lambda: any(each["progress"] > 0 for each in peer.of_type("image_generation_progress")), 20, "progress")
    assert len(server.requests_to("GET", "/inputs/1.png")) == 1
    browser.kill_worker()
    browser.evaluate("await chrome.runtime.sendMessage({ type: 'connect' }); 0")

    peer = server.sockets.next()
    assert peer.welcome(activeRequestIds=[JOB])["activeRequestIds"] == [JOB]

    assert pixels(peer.receive("image_generated", 20)["imageUrl"]) == mixed(1)
    assert len(server.requests_to("GET", "/inputs/1.png")) == 2


def test_a_finished_variation_is_reused_if_only_its_addresses_change(browser: Chromium, server: ScriptedServer) -> None:
    peer = connect(browser, server)
    peer.welcome()
    assign(peer, [offered(server, "1.png", CONTENT)])
    first = peer.receive("image_generated")
    peer.cut()

    peer = server.sockets.next()
    peer.welcome(activeRequestIds=[])
    assign(peer, [offered(server, "2.png", CONTENT)], lease="l-2")
    second = peer.receive("image_generated")

    assert (second["lease"], second["imageUrl"]) == ("l-2", first["imageUrl"])
    assert server.requests_to("GET", "/inputs/2.png") == []
