"""Library, command and reference extension against the real service."""

from __future__ import annotations

import io
import json
import threading
from pathlib import Path

import pytest
from click.testing import CliRunner
from openai import OpenAI
from PIL import Image

from imagefleet.cli import main
from imagefleet.client import Client
from imagefleet.errors import Refused
from imagefleet.models import Status
from tests.support.input_images import half_mask, picture, uploaded
from tests.support.reference_extension import running_reference_extension
from tests.support.service import Service
from tests.support.waiting import until


def test_requests_end_in_pictures(service: Service, tmp_path: Path) -> None:
    reported: list[Status] = []
    with (
        running_reference_extension(service, "ref-a", step_s=0.02) as log_lines,
        Client(service.url(web=1)) as fleet,
    ):
        accepted = fleet.submit("A lighthouse", model="ref-a", width=640, height=480, number_of_images=2)
        result = fleet.wait(accepted.request_id, progress=reported.append, timeout_s=60)
        assert (result.status, len(result.images), result.metadata.prompt) == ("completed", 2, "A lighthouse")
        files = [fleet.download(image, tmp_path / f"{n}.png") for n, image in enumerate(result.images)]
        assert [Image.open(io.BytesIO(file.read_bytes())).size for file in files] == [(640, 480)] * 2
        assert files[0].read_bytes() != files[1].read_bytes()
        assert result.images[0].sha256
        facts = list(fleet.stream(accepted.request_id))
        assert (facts[0].type, facts[-1].type) == ("ImageGenerationRequestedEvent", "ImageGeneratedEvent")
        assert list(fleet.stream(accepted.request_id, last_event_id=facts[-1].seq)) == []
    progress = [status.progress for status in reported]
    assert progress == sorted(progress)
    assert any(f"{accepted.request_id} is stored as {result.image_path}" in line for line in log_lines)


def test_an_edit_changes_the_picture_only_where_its_mask_is_transparent(service: Service) -> None:
    content, _ = picture(64, 48)
    source, mask = uploaded(service, content), uploaded(service, half_mask(64, 48))
    inputs = [{"inputId": source, "strength": 1}, {"inputId": mask, "role": "mask"}]
    with running_reference_extension(service, "ref-d"):
        result = service.final(service.submit("a red fox", model="ref-d", inputImages=inputs))
    assert result["status"] == "completed", result
    stored = Image.open(service.folder / "pictures" / Path(result["imagePath"]).name).convert("RGB")
    original = Image.open(io.BytesIO(content)).convert("RGB")
    left, right = (0, 0, 32, 48), (32, 0, 64, 48)
    assert stored.crop(left).tobytes() == original.crop(left).tobytes()
    assert stored.crop(right).tobytes() != original.crop(right).tobytes()


def test_a_client_gets_partial_images_of_the_drawing(service: Service) -> None:
    client = OpenAI(api_key="any", base_url=service.url("/v1"), max_retries=0)
    with (
        running_reference_extension(service, "ref-p", step_s=0.4),
        client.images.generate(prompt="A fox", model="ref-p", stream=True, partial_images=2) as stream,
    ):
        *partials, last = list(stream)
    assert [each.type for each in partials] == ["image_generation.partial_image"] * 2
    assert len({each.b64_json for each in (*partials, last)}) == 3


def test_the_command_saves_the_pictures(service: Service, tmp_path: Path) -> None:
    command = [
        "generate",
        "a",
        "red",
        "fox",
        "--model",
        "ref-b",
        "--width",
        "64",
        "--height",
        "64",
        "--user",
        "someone",
    ]
    with running_reference_extension(service, "ref-b") as log_lines:
        ended = CliRunner().invoke(
            main, ["--server", service.url(), *command, "--timeout", "60", "--output", str(tmp_path)]
        )
    assert ended.exit_code == 0, (ended.stderr, log_lines)
    assert ended.stdout.split() == [str(each) for each in tmp_path.iterdir()]
    listed = CliRunner().invoke(main, ["list", "--user", "someone", "--server", service.url()]).stdout
    assert "a red fox" in listed


def test_the_extension_drops_a_cancelled_request(service: Service) -> None:
    with running_reference_extension(service, "ref-c", step_s=30.0) as log_lines, Client(service.url()) as fleet:
        request_id = fleet.submit("Slow", model="ref-c").request_id
        moving = threading.Event()
        waiting = threading.Thread(
            target=lambda: fleet.wait(request_id, progress=lambda s: moving.set() if s.message else None)
        )
        waiting.start()
        assert moving.wait(30)
        assert fleet.cancel(request_id).status == "cancelled"
        waiting.join(30)
        assert fleet.get(request_id).status == "cancelled"
        until(lambda: any("was cancelled" in line for line in log_lines), what="the extension to drop it")


def test_errors_contain_their_code(service: Service) -> None:
    with Client(service.url()) as fleet, pytest.raises(Refused) as caught:
        fleet.submit("  ")
    assert (caught.value.code, caught.value.status) == ("ERR_INVALID_PROMPT", 400)
    assert caught.value.correlation_id


def test_the_command_does_all_of_it_against_the_service(service: Service, tmp_path: Path) -> None:
    def run(*words: str, code: int = 0) -> str:
        ended = CliRunner().invoke(main, ["--server", service.url(), *words])
        assert ended.exit_code == code, (words, ended.output)
        return ended.stdout

    content, _ = picture(64, 48)
    source = tmp_path / "source.png"
    source.write_bytes(content)
    run("styles", "create", "Rainy street", "{prompt}, {light}", "--required", "light", "--model", "ref-e")
    styled = ["generate", "a street", "--style", "rainy street", "--var", "light=rain", "--priority", "high"]
    waiting = run(*styled, "--wait-for-extension", "1h").strip()
    assert "Connect an extension that makes ref-e" in run("queue", waiting)
    assert f"{waiting}\t" in run("list", "--status", "accepted", "--since", "1h")
    assert waiting not in run("list", "--until", "1h", "--limit", "100")
    run("get", waiting, code=4)
    with running_reference_extension(service, "ref-e"):
        saved = run("watch", waiting, "--output", str(tmp_path / "out"), "--timeout", "60")
        assert saved == f"{tmp_path / 'out' / 'a-street.png'}\n"
        assert run("watch", waiting, "--output", str(tmp_path / "out")) == saved
        assert "ref-e" in run("models").split()
        varied = run("generate", "--variation-of", waiting, "--strength", "0.5", "--timeout", "60", "--json")
        assert json.loads(varied)["parentId"] == waiting
        edited = run("generate", "snow", "--model", "ref-e", "--input", str(source), "--timeout", "60", "--jsonl")
        assert json.loads(edited)["status"] == "completed"
        assert [
            json.loads(each)["requestId"] for each in run("list", "--variations-of", waiting, "--jsonl").splitlines()
        ]
        assert run("watch", waiting, "--events").splitlines()[-1].endswith("ImageGeneratedEvent  completed")
        run("cancel", waiting, code=1)
    run("styles", "delete", "rainy street")
    run("styles", "show", "rainy street", code=1)
    hook, secret = run("webhooks", "create", "https://shop.example/hooks", "--event", "image.completed").split()
    assert secret.startswith("whsec_")
    assert run("webhooks", "disable", hook) == f"{hook} is disabled\n"
    assert run("webhooks", "enable", hook) == f"{hook} is enabled\n"
    assert hook in run("webhooks")
    assert run("webhooks", "rotate", hook) != f"{secret}\n"
    delivery = run("webhooks", "test", hook).strip()
    assert delivery in run("webhooks", "deliveries", hook)
    run("webhooks", "delete", hook)
    assert hook not in run("webhooks")
    assert run("queue", "--json").startswith("{")
