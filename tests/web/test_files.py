from __future__ import annotations

import hashlib
import io
from base64 import b64encode
from typing import Any

import pytest
from flask.testing import FlaskClient
from gunicorn.http import wsgi as gunicorn_wsgi
from PIL import Image
from werkzeug.test import TestResponse

from app.adapters.decoders import DecodersBusy
from app.adapters.store import LocalStore
from app.container import Services, build
from app.factory import create_app
from tests.support import image_samples as samples
from tests.support import job_factory
from tests.support.fakes import Bench


def png() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (4, 4), "green").save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def path(bench: Bench, services: Services) -> str:
    """The path of the picture of a completed request."""
    job_factory.connect_extension(bench)
    job = job_factory.processing_job(bench)
    job_factory.report_generated(bench, job, "data:image/png;base64," + b64encode(png()).decode())
    services.download.run()
    [image] = services.lookup.details(job.id).images
    return f"/generated-images/{image.file}"


def test_a_picture_is_served_with_its_type_and_cached_forever(client: FlaskClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 200
    assert Image.open(io.BytesIO(answer.data)).size == (4, 4)
    assert answer.content_type == "image/png"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert answer.headers["ETag"] == f'"{hashlib.sha256(answer.data).hexdigest()}"'
    assert "sandbox" in answer.headers["Content-Security-Policy"]
    assert answer.headers["Accept-Ranges"] == "bytes"


def test_a_picture_that_the_client_has_cached_is_not_sent_again(client: FlaskClient, path: str) -> None:
    etag = client.get(path).headers["ETag"]
    answer = client.get(path, headers={"If-None-Match": etag})
    assert (answer.status_code, answer.data) == (304, b"")


@pytest.mark.parametrize("others", ["", '"other", ', 'W/"weak", '])
def test_if_match_of_the_picture_is_answered_with_it(client: FlaskClient, path: str, others: str) -> None:
    etag = client.get(path).headers["ETag"]
    answer = client.get(path, headers={"If-Match": others + etag})
    assert (answer.status_code, answer.data) == (200, client.get(path).data)


@pytest.mark.parametrize(("more", "status"), [({}, 200), ({"Range": "bytes=0-3"}, 206)])
def test_if_match_of_any_file_is_answered_with_the_picture(
    client: FlaskClient, path: str, more: dict[str, str], status: int
) -> None:
    answer = client.get(path, headers={"If-Match": "*", **more})
    assert answer.status_code == status
    assert client.get(path).data.startswith(answer.data)


@pytest.mark.parametrize("wanted", ['"other"', 'W/"other"', '"other", "another"', "nonsense", ""])
@pytest.mark.parametrize("more", [{}, {"Range": "bytes=0-3"}])
def test_if_match_of_another_file_is_refused_without_the_picture(
    client: FlaskClient, path: str, wanted: str, more: dict[str, str]
) -> None:
    answer = client.get(path, headers={"If-Match": wanted, **more})
    assert (answer.status_code, answer.json["code"]) == (412, "ERR_PRECONDITION_FAILED")


@pytest.mark.parametrize("more", [0, 1, 10**9, 10**30])
def test_the_last_bytes_of_a_shorter_picture_are_the_whole(client: FlaskClient, path: str, more: int) -> None:
    whole = client.get(path).data
    answer = client.get(path, headers={"Range": f"bytes=-{len(whole) + more}"})
    assert (answer.status_code, answer.data) == (206, whole)
    assert answer.headers["Content-Range"] == f"bytes 0-{len(whole) - 1}/{len(whole)}"


def test_a_range_of_a_picture_can_be_requested(client: FlaskClient, path: str) -> None:
    whole = client.get(path).data
    part = client.get(path, headers={"Range": "bytes=2-5"})
    assert (part.status_code, part.data) == (206, whole[2:6])
    assert part.headers["Content-Range"] == f"bytes 2-5/{len(whole)}"
    tail = client.get(path, headers={"Range": "bytes=-3"})
    assert tail.data == whole[-3:]
    beyond = client.get(path, headers={"Range": f"bytes={len(whole)}-"})
    assert (beyond.status_code, beyond.json["code"]) == (416, "ERR_RANGE_NOT_SATISFIABLE")


def test_nothing_before_a_part_is_read(client: FlaskClient, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = client.get(path).data
    begins: list[int] = []

    class Recording(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            begins.append(self.tell())
            return super().read(size)

    monkeypatch.setattr(LocalStore, "open", lambda *_: Recording(whole))
    gunicorn = {"wsgi.file_wrapper": gunicorn_wsgi.FileWrapper}
    part = client.get(path, headers={"Range": "bytes=50-"}, environ_overrides=gunicorn)
    assert (part.status_code, part.data) == (206, whole[50:])
    assert begins[0] == 50


def test_a_picture_supports_head_requests(client: FlaskClient, path: str) -> None:
    head = client.head(path)
    assert head.status_code == 200
    assert head.data == b""
    assert int(head.headers["Content-Length"]) == len(client.get(path).data)


@pytest.mark.parametrize(
    "name",
    [
        "550e8400-e29b-41d4-a716-446655440000_1.png",
        "..%2f..%2fetc%2fpasswd",
        "../imagefleet.db",
        ".staging",
        "%00",
        "x.png",
    ],
)
def test_an_invalid_file_name_is_not_found(client: FlaskClient, path: str, name: str) -> None:
    assert path
    answer = client.get(f"/generated-images/{name}")
    assert answer.status_code == 404
    assert b"root:" not in answer.data


def test_a_file_of_no_request_is_not_served(client: FlaskClient, bench: Bench) -> None:
    name = "550e8400-e29b-41d4-a716-446655440000_1.png"
    (bench.store.root / name).write_bytes(png())
    assert client.get(f"/generated-images/{name}").status_code == 404


# -- renditions


@pytest.fixture
def large(bench: Bench, services: Services) -> str:
    """The path of a picture of 600 x 300 px."""
    job_factory.connect_extension(bench)
    job = job_factory.processing_job(bench)
    job_factory.report_generated(bench, job, "data:image/png;base64," + b64encode(samples.png(600, 300)).decode())
    services.download.run()
    [image] = services.lookup.details(job.id).images
    return f"/generated-images/{image.file}"


def shown(answer: TestResponse) -> tuple[str | None, tuple[int, int]]:
    """The format and the size of the image."""
    image = Image.open(io.BytesIO(answer.data))
    return image.format, image.size


@pytest.mark.parametrize(
    ("address", "content_type", "expected"),
    [
        (".png", "image/png", ("PNG", (600, 300))),
        (".png?format=png", "image/png", ("PNG", (600, 300))),
        (".png?format=webp", "image/webp", ("WEBP", (600, 300))),
        (".png?format=jpeg", "image/jpeg", ("JPEG", (600, 300))),
        (".webp", "image/webp", ("WEBP", (600, 300))),
        (".jpeg", "image/jpeg", ("JPEG", (600, 300))),
        (".256.webp", "image/webp", ("WEBP", (256, 128))),
        (".1024.webp", "image/webp", ("WEBP", (600, 300))),
    ],
)
def test_a_picture_has_renditions(
    client: FlaskClient, large: str, address: str, content_type: str, expected: tuple[str, tuple[int, int]]
) -> None:
    for answer in (client.get(large.removesuffix(".png") + address) for _ in range(2)):
        assert answer.status_code == 200
        assert answer.content_type == content_type
        assert answer.content_length == len(answer.data)
        assert shown(answer) == expected
        assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert "sandbox" in answer.headers["Content-Security-Policy"]


def test_every_rendition_has_an_etag_of_its_own(client: FlaskClient, large: str) -> None:
    addresses = [large, large + "?format=webp", large + "?format=jpeg"]
    addresses += [large.replace(".png", f".{side}.webp") for side in (256, 1024)]
    etags = {client.get(address).headers["ETag"] for address in addresses}
    assert len(etags) == 5
    for address in addresses:
        etag = client.get(address).headers["ETag"]
        assert client.get(address, headers={"If-None-Match": etag}).status_code == 304
        assert [client.get(address, headers={"If-Match": each}).status_code for each in etags].count(200) == 1


def test_a_range_of_a_rendition_can_be_requested(client: FlaskClient, large: str) -> None:
    whole = client.get(large + "?format=webp").data
    part = client.get(large + "?format=webp", headers={"Range": "bytes=2-5"})
    assert (part.status_code, part.data) == (206, whole[2:6])
    assert part.headers["Content-Range"] == f"bytes 2-5/{len(whole)}"


def test_a_rendition_supports_head_requests(client: FlaskClient, large: str) -> None:
    head = client.head(large + "?format=jpeg")
    assert (head.status_code, head.data) == (200, b"")
    assert head.content_length == len(client.get(large + "?format=jpeg").data)


@pytest.mark.parametrize("value", ["gif", "", "PNG", "webp ", "256.webp", "../png", "\N{ARABIC-INDIC DIGIT ONE}"])
def test_other_formats_are_refused(client: FlaskClient, large: str, value: str) -> None:
    answer = client.get(large, query_string={"format": value})
    assert (answer.status_code, answer.json["code"]) == (400, "ERR_INVALID_REQUEST")
    assert "format" in answer.json["detail"]


def test_a_thumbnail_cannot_be_converted(client: FlaskClient, large: str) -> None:
    answer = client.get(large.replace(".png", ".256.webp"), query_string={"format": "jpeg"})
    assert (answer.status_code, answer.json["code"]) == (400, "ERR_INVALID_REQUEST")


@pytest.mark.parametrize("end", ["256.png", "512.webp", "256.webp.png", "gif", "png.webp", "webp/", "256.webp%00"])
def test_there_are_no_other_renditions(client: FlaskClient, large: str, end: str) -> None:
    assert client.get(large.replace(".png", f".{end}")).status_code == 404


def test_a_picture_that_is_gone_has_no_renditions(client: FlaskClient, bench: Bench, large: str) -> None:
    name = large.rpartition("/")[2]
    assert client.get(large.replace(".png", ".256.webp")).status_code == 200
    bench.store.delete(name)
    assert client.get(large + "?format=webp").status_code == 404


def test_a_rendition_that_cannot_be_made_now_is_answered_with_when_to_try_again(bench: Bench, large: str) -> None:
    def busy(*_: Any) -> None:
        raise DecodersBusy("This service has too many pictures to decode.")

    client = create_app(services=build(bench.with_ports(renderer=busy).ports)).test_client()
    answer = client.get(large.replace(".png", ".256.webp"))
    assert (answer.status_code, answer.json["code"]) == (503, "ERR_UNAVAILABLE")
    assert int(answer.headers["Retry-After"]) > 0
    assert client.get(large).status_code == 200
