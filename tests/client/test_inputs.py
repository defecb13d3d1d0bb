"""The reference extension makes variations and edits of the pictures that a job starts from."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from PIL import Image

from imagefleet.extension import OPERATIONS
from imagefleet.extension.drawing import Picture, draw
from imagefleet.extension.variation import Inputs
from tests.support.input_images import half_mask, offered, picture, png
from tests.support.reference_extension import JOB, RunningExtension, running_extension, send_job
from tests.support.scripted_server import CUT, Reply, ScriptedServer
from tests.support.scripted_socket import Peer

SIZE = (32, 16)
CONTENT, PIXELS = picture(*SIZE)
INPUTS = Inputs((CONTENT,), SIZE)
SVG = b"<svg/>"


def drawn(**changes: Any) -> Image.Image:
    """What is drawn over the input picture."""
    content = draw(Picture("A fox", *SIZE, inputs=replace(INPUTS, **changes)))
    return Image.open(io.BytesIO(content)).convert("RGB")


def distance(image: Image.Image) -> int:
    return sum(abs(new - old) for new, old in zip(image.tobytes(), PIXELS, strict=True))


# The drawing


def test_the_strength_decides_how_much_changes() -> None:
    distances = [distance(drawn(strength=strength)) for strength in (0.0, 0.2, 0.6, 1.0)]
    assert distances[0] == 0
    assert distances == sorted(set(distances))
    assert drawn() == drawn(strength=0.5)


def test_the_same_request_gives_the_same_variation_and_another_prompt_or_seed_another() -> None:
    base = Picture("A fox", *SIZE, inputs=INPUTS)
    others = [base, base, replace(base, prompt="A vixen"), replace(base, seed=1), replace(base, index=1)]
    assert len({draw(each) for each in others}) == 4


def test_a_mask_keeps_what_is_opaque_in_it() -> None:
    edited, whole = drawn(mask=half_mask(*SIZE), strength=1.0), drawn(strength=1.0)
    left, right = (0, 0, 16, 16), (16, 0, 32, 16)
    assert edited.crop(left).tobytes() == Image.open(io.BytesIO(CONTENT)).convert("RGB").crop(left).tobytes()
    assert edited.crop(right).tobytes() == whole.crop(right).tobytes()
    assert edited.crop(right) != Image.open(io.BytesIO(CONTENT)).convert("RGB").crop(right)


def test_a_picture_of_another_shape_fills_the_drawing() -> None:
    stripes = Image.new("RGB", (40, 10), "red")
    stripes.paste("blue", (14, 0, 26, 10))
    inputs = Inputs((png(stripes),), (40, 10), strength=0.0)
    content = draw(Picture("A fox", 20, 20, inputs=inputs))
    assert Image.open(io.BytesIO(content)).convert("RGB").tobytes() == Image.new("RGB", (20, 20), "blue").tobytes()


def test_several_pictures_are_mixed_and_transparent_ones_are_on_white() -> None:
    black, clear = png(Image.new("RGB", (4, 4))), png(Image.new("RGBA", (4, 4), (0, 0, 0, 0)))
    content = draw(Picture("A fox", 4, 4, inputs=Inputs((black, clear), (4, 4), strength=0.0)))
    assert set(Image.open(io.BytesIO(content)).tobytes()) == {127}


# The extension


@pytest.fixture
def running(scripted: ScriptedServer) -> Iterator[RunningExtension]:
    with running_extension(scripted, operations=OPERATIONS) as running:
        yield running


@pytest.fixture
def peer(scripted: ScriptedServer, running: RunningExtension) -> Peer:
    peer = scripted.sockets.next()
    peer.welcome()
    return peer


def send(peer: Peer, *inputs: dict[str, Any], **fields: Any) -> None:
    send_job(peer, **{"parameters": {}, "inputImages": list(inputs), "lease": "l-1", **fields})


@pytest.mark.parametrize(("models", "announced"), [((), ("*",)), (("sdxl",), ("sdxl",))], ids=["all models", "some"])
def test_the_operations_are_announced_after_the_models(
    scripted: ScriptedServer, models: tuple[str, ...], announced: tuple[str, ...]
) -> None:
    with running_extension(scripted, models=models, operations=OPERATIONS):
        metadata = scripted.sockets.next().welcome()["metadata"]
    assert metadata["capabilities"] == ["image-generation", *announced, "image-variation", "image-edit"]


def test_a_variation_is_made_of_the_fetched_picture(
    scripted: ScriptedServer, running: RunningExtension, peer: Peer
) -> None:
    reply = Reply(CONTENT)
    send(peer, offered(scripted, "1.png", CONTENT, CUT, Reply(status=503), reply, strength=0.25))
    report = peer.receive("image_generated", 20)

    made = Image.open(io.BytesIO(base64.b64decode(report["imageUrl"].partition(",")[2]))).convert("RGB")
    assert made == drawn(strength=0.25)
    assert (report["metadata"]["width"], report["metadata"]["height"]) == SIZE
    assert running.renderer.drawn[0].inputs == replace(INPUTS, strength=0.25)
    assert [each.headers.get("authorization") for each in scripted.requests_to("GET", "/inputs/1.png")] == [None] * 3


def test_the_size_of_the_request_comes_before_that_of_the_picture(scripted: ScriptedServer, peer: Peer) -> None:
    send(peer, offered(scripted, "1.png", CONTENT), parameters={"width": 20, "height": 30})
    metadata = peer.receive("image_generated")["metadata"]
    assert (metadata["width"], metadata["height"]) == (20, 30)


def test_an_edit_gets_the_mask(scripted: ScriptedServer, running: RunningExtension, peer: Peer) -> None:
    mask = half_mask(*SIZE)
    send(peer, offered(scripted, "m.png", mask, role="mask"), offered(scripted, "1.png", CONTENT, strength=1))
    peer.receive("image_generated")
    assert running.renderer.drawn[0].inputs == replace(INPUTS, mask=mask, strength=1)


@pytest.mark.parametrize(
    ("announced", "reply", "reason", "retryable"),
    [
        (CONTENT, Reply(CONTENT[:-1] + b"x"), "is not the file that the server announced", True),
        (CONTENT, Reply(CONTENT[:60]), "is not the file that the server announced", True),
        (CONTENT, Reply(status=404), "cannot be fetched", True),
        (SVG, Reply(SVG), "is not a PNG, JPEG or WebP file", False),
        (bytes(30_000_000), Reply(bytes(30_000_000)), "has more than 20 MiB", False),
        (CONTENT[:60], Reply(CONTENT[:60]), "cannot be read: it is", False),
    ],
    ids=["a wrong hash", "cut off", "404", "an SVG", "30 MB", "half a PNG file"],
)
def test_an_input_that_cannot_be_used_is_a_failure_that_says_why(
    scripted: ScriptedServer, peer: Peer, announced: bytes, reply: Reply, reason: str, retryable: bool
) -> None:
    send(peer, offered(scripted, "1.png", announced, reply))
    failure = peer.receive("image_generation_failed", 20)
    assert reason in failure["reason"]
    assert (failure["requestId"], failure["lease"], failure["retryable"]) == (JOB, "l-1", retryable)


def test_a_mask_of_another_size_is_a_failure(scripted: ScriptedServer, peer: Peer) -> None:
    send(peer, offered(scripted, "1.png", CONTENT), offered(scripted, "m.png", half_mask(8, 8), role="mask"))
    failure = peer.receive("image_generation_failed")
    assert (failure["reason"], failure["retryable"]) == ("The mask has 8 × 8 px, and the picture has 32 × 16.", False)


def test_what_the_drawing_function_cannot_do_is_refused_and_nothing_fetched(scripted: ScriptedServer) -> None:
    mask = half_mask(*SIZE)
    with running_extension(scripted, operations=("image-variation",)):
        peer = scripted.sockets.next()
        peer.welcome()
        send(peer, offered(scripted, "1.png", CONTENT), offered(scripted, "m.png", mask, role="mask"))
        failure = peer.receive("image_generation_failed")
    assert failure["reason"] == "This extension cannot make edits with a mask."
    assert (failure["retryable"], failure["retryAfterMs"]) == (True, 0)
    assert scripted.requests_to("GET", "/inputs/1.png") == []


@pytest.mark.parametrize(
    "changes",
    [
        {"url": "file:///etc/passwd"},
        {"sha256": "abc"},
        {"mimeType": "image/svg+xml"},
        {"role": "sketch"},
        {"role": "mask"},
        {"strength": 1.5},
        {"strength": True},
    ],
)
def test_a_job_with_invalid_input_pictures_is_ignored(
    scripted: ScriptedServer, running: RunningExtension, peer: Peer, changes: dict[str, Any]
) -> None:
    send(peer, {**offered(scripted, "1.png", CONTENT), **changes})
    send_job(peer, "another")
    assert peer.receive("image_generated")["requestId"] == "another"
    assert running.has_logged("ignored: The server sent something unexpected")
