"""The real clients of OpenAI's API in Python and JavaScript at a real service; only the address and the key are ours."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
import json
import shutil
import subprocess
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from PIL import Image

from tests.support.extension import Extension
from tests.support.management import manage
from tests.support.missing import missing
from tests.support.node import PROGRAM
from tests.support.pictures import data_url, noise, plain
from tests.support.service import Service, running_service
from tests.support.waiting import until

FOREIGN_KEY = "sk-proj-of-openai"
SCRIPT = Path(__file__).parent / "openai_client.js"
WAIT_S = 60.0


@pytest.fixture
def model() -> str:
    """A model that only this test's extension makes."""
    return f"model-{uuid.uuid4().hex}"


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    """Threads for calls that wait for a picture."""
    with ThreadPoolExecutor(4) as pool:
        yield pool


def client_of(service: Service, key: str = FOREIGN_KEY, **options: Any) -> OpenAI:
    return OpenAI(api_key=key, base_url=service.url("/v1"), **{"timeout": WAIT_S, "max_retries": 0, **options})


def async_client_of(service: Service, key: str = FOREIGN_KEY) -> AsyncOpenAI:
    return AsyncOpenAI(api_key=key, base_url=service.url("/v1", web=1), timeout=WAIT_S, max_retries=0)


@contextmanager
def painting(service: Service, model: str, pictures: int = 1, colour: str = "red") -> Iterator[Extension]:
    """An extension that gets this many requests, and answers them, while the block runs."""
    with service.extension(f"painter-{model}", model, web=1) as extension, ThreadPoolExecutor(1) as pool:
        answered = pool.submit(paint, extension, pictures, colour)
        yield extension
        answered.result(WAIT_S)


def paint(extension: Extension, pictures: int = 1, colour: str = "red") -> None:
    for _ in range(pictures):
        extension.done(extension.next_job(WAIT_S), data_url(plain(colour)))


def colour_of(data: bytes) -> Any:
    return Image.open(io.BytesIO(data)).convert("RGB").getpixel((0, 0))


def status_error(call: Any) -> openai.APIStatusError:
    """What the client raises for an answer with an error."""
    with pytest.raises(openai.APIStatusError) as caught:
        call()
    return caught.value


def requests_for(service: Service, user: str) -> list[Any]:
    made: list[Any] = service.get(f"/api/images?userId={user}").json["images"]
    return made


def test_a_picture_by_its_address(service: Service, model: str) -> None:
    client = client_of(service)
    with painting(service, model):
        result = client.images.generate(prompt="a fox", model=model, size="1024x1024", quality="hd", style="vivid")
    assert result.data is not None
    [image] = result.data
    assert image.url is not None
    assert image.b64_json is None
    path = image.url.removeprefix(service.url())
    assert colour_of(service.get(path).content) == (255, 0, 0)
    made = service.get(f"/api/images/{result._request_id}").json
    assert (made["imagePath"], made["metadata"]["prompt"]) == (path, "a fox")
    assert made["parameters"] == {"quality": "hd", "style": "vivid", "width": 1024, "height": 1024}


def test_several_large_pictures_in_base64(service: Service, model: str, pool: ThreadPoolExecutor) -> None:
    pictures = [noise(700, 700), noise(701, 700)]
    call = pool.submit(client_of(service).images.generate, prompt="foxes", model=model, n=2, response_format="b64_json")
    with service.extension("uploader", model) as extension:
        job = extension.next_job(WAIT_S)
        assert job["parameters"] == {"numberOfImages": 2}
        urls = [extension.upload(job, data, position)["imageUrl"] for position, data in enumerate(pictures)]
        extension.done(job, urls[0], imageUrls=urls)
        result = call.result(WAIT_S)
    assert result.data is not None
    files = [base64.b64decode(image.b64_json or "", validate=True) for image in result.data]
    assert [Image.open(io.BytesIO(file)).size for file in files] == [(700, 700), (701, 700)]
    assert Image.open(io.BytesIO(files[0])).tobytes() == Image.open(io.BytesIO(pictures[0])).tobytes()


def test_unknown_parameters_reach_the_extension(service: Service, model: str, pool: ThreadPoolExecutor) -> None:
    extra = {"seed": 7, "negative_prompt": "text"}
    call = pool.submit(
        client_of(service).images.generate, prompt="a fox", model=model, background="transparent", extra_body=extra
    )
    with service.extension("curious", model) as extension:
        job = extension.next_job(WAIT_S)
        assert job["parameters"] == {"background": "transparent", **extra}
        extension.done(job, data_url(plain()))
        assert call.result(WAIT_S).data


def test_asynchronous_calls_at_the_same_time(service: Service, model: str) -> None:
    async def main() -> list[Any]:
        async with async_client_of(service) as client:
            calls = [client.images.generate(prompt=f"fox {n}", model=model, user=f"async-{n}") for n in range(3)]
            return await asyncio.gather(*calls)

    with painting(service, model, pictures=3):
        results = asyncio.run(main())
    assert len({result._request_id for result in results}) == 3
    assert all(result.data[0].url for result in results)


def test_a_stream(service: Service, model: str, pool: ThreadPoolExecutor) -> None:
    def read() -> list[Any]:
        with client_of(service).images.generate(prompt="a fox", model=model, stream=True) as stream:
            return list(stream)

    call = pool.submit(read)
    with service.extension("streamer", model) as extension:
        job = extension.next_job(WAIT_S)
        assert "previews" not in job
        extension.preview(job, 40, plain())
        extension.done(job, data_url(plain("blue")))
        [event] = call.result(WAIT_S)
    assert event.type == "image_generation.completed"
    assert colour_of(base64.b64decode(event.b64_json)) == (0, 0, 255)
    assert (event.size, event.output_format, event.usage.total_tokens) == ("8x8", "png", 0)


@pytest.mark.parametrize("edit", [False, True], ids=["generated", "edited"])
def test_a_stream_with_partial_images(service: Service, model: str, pool: ThreadPoolExecutor, edit: bool) -> None:
    images, events = client_of(service).images, []
    options: Any = {"prompt": "a fox", "model": model, "stream": True, "partial_images": 2, "quality": "high"}
    call: Any = partial(images.edit, image=plain()) if edit else images.generate

    def read() -> None:
        with call(**options) as stream:
            events.extend(stream)

    done = pool.submit(read)
    with service.extension("previewer", model, "image-variation") as extension:
        job = extension.next_job(WAIT_S)
        assert job["previews"] == 2
        extension.preview(job, 10, b"no picture")
        assert "preview cannot be used" in extension.receive("error")["error"]
        send_until(extension, job, 10, plain("red", kind="JPEG"), lambda: len(events) == 1)
        send_until(extension, job, 40, plain("lime", kind="JPEG"), lambda: len(events) == 2)
        address = f"/api/images/{job['requestId']}/preview"
        until(lambda: is_green(service.get(address).content), 20, "the second preview")
        extension.done(job, data_url(plain("blue")))
        done.result(WAIT_S)
    *partials, last = events
    kind = "image_edit" if edit else "image_generation"
    assert [(each.type, each.partial_image_index) for each in partials] == [
        (f"{kind}.partial_image", 0),
        (f"{kind}.partial_image", 1),
    ]
    for each in partials:
        assert (each.output_format, each.quality, each.size, each.background) == ("webp", "high", "auto", "auto")
        assert each.created_at <= last.created_at
    assert is_green(base64.b64decode(partials[1].b64_json))
    assert last.type == f"{kind}.completed"
    assert colour_of(base64.b64decode(last.b64_json)) == (0, 0, 255)
    assert service.get(address).status == 404


def send_until(extension: Extension, job: Any, percent: int, data: bytes, arrived: Callable[[], bool]) -> None:
    """Send the preview until it has arrived: only one a second is taken."""

    def sent() -> bool:
        extension.preview(job, percent, data)
        return arrived()

    until(sent, 20, "a partial image")


def is_green(data: bytes) -> bool:
    red, green, blue = colour_of(data)
    return bool(green > 200 and red < 50 and blue < 50)


def test_an_asynchronous_stream_that_fails(service: Service, model: str, pool: ThreadPoolExecutor) -> None:
    async def read() -> list[Any]:
        async with async_client_of(service) as client:
            stream = await client.images.generate(prompt="a fox", model=model, stream=True)
            return [event async for event in stream]

    call = pool.submit(asyncio.run, read())
    with service.extension("failing", model) as extension:
        extension.failed(extension.next_job(WAIT_S), "It is not possible.", retryable=False)
        with pytest.raises(openai.APIError, match="It is not possible"):
            call.result(WAIT_S)


def test_the_models(service: Service, model: str) -> None:
    client = client_of(service)
    with service.extension("modelled", model):
        assert model in {each.id for each in client.models.list()}
        assert client.models.retrieve(model).id == model
    error = status_error(lambda: client.models.retrieve("made-by-nobody"))
    assert isinstance(error, openai.NotFoundError)
    assert (error.code, error.param) == ("model_not_found", "model")


def test_invalid_calls_raise_bad_request(service: Service) -> None:
    client = client_of(service)
    other: Any = "gif"
    calls = {
        "prompt": lambda: client.images.generate(prompt=""),
        "n": lambda: client.images.generate(prompt="a fox", n=11),
        "size": lambda: client.images.generate(prompt="a fox", size="huge"),
        "output_format": lambda: client.images.generate(prompt="a fox", output_format=other),
    }
    for param, call in calls.items():
        error = status_error(call)
        assert isinstance(error, openai.BadRequestError)
        assert (error.type, error.param) == ("invalid_request_error", param)
        assert error.request_id


def test_edits_and_variations_are_made_from_the_pictures_of_the_call(
    service: Service, model: str, pool: ThreadPoolExecutor
) -> None:
    client, picture, mask = client_of(service), plain("red"), plain("blue")
    calls = (
        (partial(client.images.edit, image=picture, mask=mask, prompt="a fox", n=1), ["image", "mask"]),
        (partial(client.images.edit, image=[picture, mask], prompt="a fox", size="64x64"), ["image", "image"]),
        (partial(client.images.create_variation, image=io.BytesIO(picture)), ["image"]),
    )
    with service.extension("editor", model, "image-edit", "image-variation") as extension:
        for call, roles in calls:
            result = pool.submit(call, model=model, response_format="b64_json")
            job = extension.next_job(WAIT_S)
            inputs = job["inputImages"]
            assert [each["role"] for each in inputs] == roles
            got = httpx2.get(inputs[0]["url"]).content
            assert colour_of(got) == (255, 0, 0)
            assert hashlib.sha256(got).hexdigest() == inputs[0]["sha256"]
            extension.done(job, data_url(plain("green")))
            made = result.result(WAIT_S).data
            assert colour_of(base64.b64decode(made[0].b64_json or "")) == (0, 128, 0)
            assert httpx2.get(inputs[0]["url"]).status_code == 403


def test_pictures_that_cannot_be_used_raise_bad_request(service: Service, model: str) -> None:
    client, picture = client_of(service), plain("red")
    svg = b'<svg xmlns="http://www.w3.org/2000/svg"/>'
    for call, param in (
        (lambda: client.images.edit(image=svg, prompt="a fox", model=model), "image"),
        (lambda: client.images.edit(image=picture, mask=svg, prompt="a fox", model=model), "mask"),
        (lambda: client.images.create_variation(image=picture[:-20], model=model), "image"),
    ):
        error = status_error(call)
        assert isinstance(error, openai.BadRequestError)
        assert error.param == param


@pytest.mark.parametrize(
    ("code", "raised"),
    [
        ("ERR_INVALID_PROMPT", openai.BadRequestError),
        ("ERR_RATE_LIMIT", openai.RateLimitError),
        ("ERR_GENERATION_FAILED", openai.InternalServerError),
    ],
)
def test_a_failed_request_raises_its_class_and_is_not_sent_again(
    service: Service, model: str, pool: ThreadPoolExecutor, code: str, raised: type[openai.APIStatusError]
) -> None:
    client = client_of(service, max_retries=3)
    call = pool.submit(client.images.generate, prompt="a fox", model=model, user=model)
    with service.extension("failing", model) as extension:
        extension.failed(extension.next_job(WAIT_S), "It is not possible.", code=code, retryable=False)
        error = status_error(lambda: call.result(WAIT_S))
    assert type(error) is raised
    assert "It is not possible" in error.message
    [made] = requests_for(service, model)
    assert error.request_id == made["requestId"]


def test_a_cancelled_request_raises_conflict(service: Service, model: str, pool: ThreadPoolExecutor) -> None:
    call = pool.submit(client_of(service, max_retries=3).images.generate, prompt="a fox", model=model, user=model)
    [made] = until(lambda: requests_for(service, model), what="the request")
    service.delete(f"/api/images/{made['requestId']}")
    error = status_error(lambda: call.result(WAIT_S))
    assert isinstance(error, openai.ConflictError)
    assert error.code == "request_cancelled"
    assert len(requests_for(service, model)) == 1


def test_a_client_that_goes_away_loses_nothing(service: Service, model: str) -> None:
    with pytest.raises(openai.APITimeoutError):
        client_of(service, timeout=1.0).images.generate(prompt="a fox", model=model, user=model)
    [made] = requests_for(service, model)
    with painting(service, model):
        assert service.final(made["requestId"])["status"] == "completed"


def test_a_repeat_after_a_time_out_joins_the_request(service: Service, model: str, pool: ThreadPoolExecutor) -> None:
    counts: list[str] = []

    def sent(request: httpx2.Request) -> None:
        counts.append(request.headers["x-stainless-retry-count"])
        if len(counts) > 1:  # only the first attempt times out
            request.extensions["timeout"] = httpx2.Timeout(WAIT_S).as_dict()

    http = httpx2.Client(event_hooks={"request": [sent]})
    client = client_of(service, timeout=1.0, max_retries=2, http_client=http)
    call = pool.submit(client.images.generate, prompt="a fox", model=model, user=model)
    [made] = until(lambda: requests_for(service, model), 20, "the request")
    until(lambda: joined(service, made["requestId"]), 20, "the repeat")
    with painting(service, model):
        result = call.result(WAIT_S)
    assert counts == ["0", "1"]
    assert result._request_id == made["requestId"]
    assert len(requests_for(service, model)) == 1


def joined(service: Service, request_id: str) -> bool:
    return any("openai.joined" in line and request_id in line for line in service.log("web0").splitlines())


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, migrated_sqlite_file: Path, redis_url: str) -> Iterator[Service]:
    """A service that needs keys, and takes one request of a user every three seconds."""
    folder = tmp_path_factory.mktemp("guarded")
    database = shutil.copyfile(migrated_sqlite_file, folder / "imagefleet.db")
    with running_service(
        folder,
        f"sqlite:///{database}",
        redis_url,
        webs=1,
        AUTH_MODE="required",
        OPENAI_WAIT_MS="1500",
        RATE_LIMIT_MAX_REQUESTS="1",
        RATE_LIMIT_WINDOW_MS="3000",
        RATE_LIMIT_BURST="1",
    ) as service:
        yield service


@pytest.fixture
def key(guarded: Service) -> str:
    """The key of a new user, as OpenAI's clients expect it."""
    user = f"user-{uuid.uuid4().hex}"
    manage(guarded, "create-user", user)
    return f"sk-{manage(guarded, 'create-key', user)}"


def test_wrong_keys_and_missing_scopes_raise_their_classes(guarded: Service) -> None:
    for wrong in (FOREIGN_KEY, f"sk-imgk_{'0' * 16}_{'0' * 64}"):
        error = status_error(lambda key=wrong: client_of(guarded, key).images.generate(prompt="a fox"))
        assert isinstance(error, openai.AuthenticationError)
        assert error.code == "invalid_api_key"
    manage(guarded, "create-user", "reader")
    reader = client_of(guarded, manage(guarded, "create-key", "reader", "--scope", "read"))
    assert reader.models.list().object == "list"
    assert isinstance(status_error(lambda: reader.images.generate(prompt="a fox")), openai.PermissionDeniedError)


def test_a_wait_that_is_over_names_the_request(guarded: Service, key: str) -> None:
    client = client_of(guarded, key, max_retries=3)
    error = status_error(lambda: client.images.generate(prompt="a fox"))
    assert type(error) is openai.InternalServerError
    assert error.status_code == 504
    found = guarded.get("/api/images", Authorization=f"Bearer {key}").json["images"]
    assert [each["requestId"] for each in found] == [error.request_id]
    assert str(error.request_id) in error.message


def test_a_call_over_the_limit_raises_or_is_sent_again_when_it_is_allowed(guarded: Service, key: str) -> None:
    def generate(retries: int) -> openai.APIStatusError:
        client = client_of(guarded, key, max_retries=retries)
        return status_error(lambda: client.images.generate(prompt=f"a fox, {retries}"))

    assert generate(0).status_code == 504  # accepted; nobody makes the picture
    limited = generate(0)
    assert isinstance(limited, openai.RateLimitError)
    assert (limited.type, limited.code) == ("requests", "rate_limit_exceeded")
    assert int(limited.response.headers["retry-after"]) >= 1
    assert generate(2).status_code == 504  # the client has waited and was then accepted


def test_the_client_in_javascript(service: Service, model: str, pool: ThreadPoolExecutor) -> None:
    if not (SCRIPT.parents[2] / "extension" / "node_modules" / "openai").exists():
        missing("openai for JavaScript is missing: make check-extension installs it")
    call: Future[Any] = pool.submit(
        subprocess.run,
        [str(PROGRAM), str(SCRIPT), service.url("/v1"), FOREIGN_KEY, model],
        capture_output=True,
        text=True,
        check=False,
        timeout=WAIT_S,
    )
    with service.extension("scripted", model) as extension:
        extension.done(extension.next_job(WAIT_S), data_url(plain("red")))  # an address
        streamed = extension.next_job(WAIT_S)
        extension.preview(streamed, 40, plain("lime"))
        until(lambda: service.get(f"/api/images/{streamed['requestId']}/preview").status == 200, 20, "the preview")
        extension.done(streamed, data_url(plain("blue")))
        extension.failed(extension.next_job(WAIT_S), "It is not possible.", retryable=False)
        done = call.result(WAIT_S)
    assert done.returncode == 0, done.stderr
    shown = json.loads(done.stdout)
    assert colour_of(service.get(shown["url"].removeprefix(service.url())).content) == (255, 0, 0)
    assert colour_of(base64.b64decode(shown["streamed"])) == (0, 0, 255)
    assert [is_green(base64.b64decode(each)) for each in shown["partial"]] == [True]
    assert model in shown["models"]
    assert shown["errors"] == [
        {"name": "InternalServerError", "status": 500, "code": "ERR_GENERATION_FAILED"},
        {"name": "BadRequestError", "status": 400, "code": "ERR_INVALID_PROMPT"},
        {"name": "BadRequestError", "status": 400, "code": "ERR_INVALID_REQUEST"},
    ]
