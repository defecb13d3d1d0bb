"""The main job end to end on real processes: two web processes, two workers, SQLite and PostgreSQL."""

from __future__ import annotations

import hashlib
import io
import json
import threading
import urllib.request
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from PIL import Image

from tests.support.image_samples import png
from tests.support.pictures import data_url, plain
from tests.support.service import Service
from tests.support.serving import serving
from tests.support.waiting import until


@pytest.fixture(params=["service", "service_on_postgres"])
def services(request: pytest.FixtureRequest) -> Service:
    service: Service = request.getfixturevalue(request.param)
    return service


def test_a_request_results_in_a_stored_picture(services: Service) -> None:
    request_id = services.submit(
        "A beautiful sunset over mountains", parameters={"width": 16, "height": 16, "quality": "hd", "sky": ["wide"]}
    )
    with services.extension("extension-1", "image-generation", web=1) as extension:
        job = extension.next_job()
        assert job["requestId"] == request_id
        assert job["prompt"] == "A beautiful sunset over mountains"
        assert job["model"] == "dall-e-3"
        assert job["userId"] == "cli-user"
        assert job["parameters"] == {"width": 16, "height": 16, "quality": "hd", "sky": ["wide"]}
        extension.progress(job, 50)
        extension.done(job, data_url(plain()))
        confirmed = extension.receive("image_generation_confirmed")
    result = services.final(request_id)
    assert result["status"] == "completed"
    assert confirmed["requestId"] == request_id
    assert confirmed["imagePath"] == result["imagePath"]
    assert result["metadata"]["width"] == 8
    file = services.folder / "pictures" / result["imagePath"].removeprefix("/generated-images/")
    assert file.name.startswith(f"{request_id}_")
    assert Image.open(file).getpixel((0, 0)) == (255, 0, 0)


def test_web_processes_make_thumbnails_and_conversions(services: Service) -> None:
    request_id = services.submit(model="thumbnails")
    with services.extension("thumbnails", "thumbnails") as extension:
        extension.done(extension.next_job(), data_url(png(600, 300)))
        extension.receive("image_generation_confirmed")
    path = services.final(request_id)["imagePath"]
    small = path.replace(".png", ".256.webp")
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda web: services.get(small, web=web % 2), range(16)))
    assert {(answer.status, answer.headers["content-type"]) for answer in answers} == {(200, "image/webp")}
    assert len({answer.content for answer in answers}) == 1
    assert Image.open(io.BytesIO(answers[0].content)).size == (256, 128)
    assert Image.open(io.BytesIO(services.get(f"{path}?format=jpeg").content)).format == "JPEG"


def test_a_waiting_job_is_assigned_as_soon_as_a_slot_is_free(services: Service) -> None:
    with services.extension("single", "slow-model", web=0) as extension:
        first, second = services.submit(model="slow-model"), services.submit(model="slow-model", web=1)
        job = extension.next_job()
        assert job["requestId"] == first
        assert services.status(second)["queue"]["position"] == 1
        busy = "The extension that supports the model is busy with other requests."
        # what is shown of the fleet is up to a second old
        until(lambda: services.status(second)["queue"]["reason"] == busy, 20, "the reason to wait")
        extension.done(job, data_url(plain()))
        assert extension.next_job()["requestId"] == second
        services.delete(f"/api/images/{second}")


def test_several_pictures_can_be_uploaded(services: Service) -> None:
    request_id = services.submit("two foxes", model="twins", parameters={"numberOfImages": 2})
    pictures = [plain("red"), plain("blue")]
    with services.extension("uploader", "twins", web=1) as extension:
        job = extension.next_job()
        receipts = [extension.upload(job, data, position) for position, data in enumerate(pictures)]
        assert [r["sha256"] for r in receipts] == [hashlib.sha256(data).hexdigest() for data in pictures]
        urls = [r["imageUrl"] for r in receipts]
        extension.done(job, urls[0], imageUrls=urls)
        extension.receive("image_generation_confirmed")
    result = services.final(request_id)
    assert len(result["images"]) == 2
    assert result["imagePath"] == result["images"][0]["imagePath"]
    served = services.get(result["images"][1]["imagePath"], web=1)
    assert served.headers["content-type"] == "image/png"
    assert Image.open(io.BytesIO(served.content)).getpixel((0, 0)) == (0, 0, 255)


def test_a_picture_is_fetched_from_the_reported_url(services: Service) -> None:
    request_id = services.submit(model="fetched")
    with serving(plain("blue", kind="JPEG")) as url, services.extension("remote", "fetched") as extension:
        job = extension.next_job()
        extension.done(job, url)
        extension.receive("image_generation_confirmed")
        result = services.final(request_id)
    assert result["imageUrl"] == url
    assert Image.open(io.BytesIO(services.get(result["imagePath"]).content)).format == "PNG"


def test_a_picture_at_a_private_address_is_never_fetched(services: Service) -> None:
    request_id = services.submit(model="private")
    with services.extension("careless", "private") as extension:
        for _ in range(3):  # as many attempts as a request has
            extension.done(extension.next_job(), "http://10.0.0.1/picture.png")
        result = services.final(request_id)
    assert (result["status"], result["code"]) == ("failed", "ERR_DOWNLOAD_FAILED")
    assert not [name for name in services.pictures if name.startswith(request_id)]


def test_a_correlation_id_appears_in_every_message_and_log_of_its_request(services: Service) -> None:
    given = f"trace-{uuid.uuid4()}"
    answer = services.post("/api/images/generate", {"prompt": "a fox", "model": "traced"}, X_Correlation_Id=given)
    with services.extension("tracer", "traced") as extension:
        job = extension.next_job()
        assert job["correlationId"] == given
        extension.done(job, data_url(plain()))
        assert extension.receive("image_generation_confirmed")["correlationId"] == given
    request_id = answer.json["requestId"]
    assert services.final(request_id)["correlationId"] == given
    lines = [json.loads(line) for n in (0, 1) for line in services.log(f"worker{n}").splitlines() if given in line]
    assert {line["action"] for line in lines} >= {"assign", "store"}


def test_events_are_streamed_and_a_stream_can_be_resumed(services: Service) -> None:
    request_id = services.submit(model="streamed")
    lines: list[str] = []

    def follow() -> None:
        with urllib.request.urlopen(services.url(f"/api/images/{request_id}/events", web=1), timeout=60) as stream:
            lines.extend(line.decode().rstrip("\n") for line in stream)

    follower = threading.Thread(target=follow)
    follower.start()
    with services.extension("streamer", "streamed") as extension:
        job = extension.next_job()
        extension.progress(job, 40)
        extension.send_heartbeat(active=1)
        extension.receive("heartbeat_response")
        extension.done(job, data_url(plain()))
        extension.receive("image_generation_confirmed")
    follower.join(30)
    facts = [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]
    assert [fact["type"] for fact in facts if "seq" in fact] == [
        "ImageGenerationRequestedEvent",
        "ImageGenerationAssignedEvent",
        "ImageDownloadStartedEvent",
        "ImageGeneratedEvent",
    ]
    resumed = services.get(f"/api/images/{request_id}/events", Last_Event_ID="2").content.decode()
    assert [line for line in resumed.splitlines() if line.startswith("id: ")] == ["id: 3", "id: 4"]
    assert services.get(f"/api/images/{request_id}/events", Last_Event_ID="4").status == 204


def test_the_job_of_a_lost_extension_is_assigned_to_another(services: Service) -> None:
    request_id = services.submit(model="fragile")
    with services.extension("dying", "fragile") as dying:
        job = dying.next_job()
        dying.progress(job, 10)
        dying.send_heartbeat(active=1)
        dying.receive("heartbeat_response")
    with services.extension("heir", "fragile", web=1) as heir:
        again = heir.next_job()
        assert again["requestId"] == request_id
        heir.done(again, data_url(plain()))
        assert services.final(request_id)["status"] == "completed"
