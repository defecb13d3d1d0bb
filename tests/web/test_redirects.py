"""Redirects to a CDN or to the storage."""

from __future__ import annotations

from base64 import b64encode
from typing import Any
from urllib.parse import parse_qs

import pytest
from flask.testing import FlaskClient

from app import container
from app.adapters.store import LocalStore, StoreError
from app.factory import create_app
from tests.support import job_factory
from tests.support.fakes import Bench
from tests.support.image_samples import png

CDN = "https://cdn.example/pictures"


class Bucket(LocalStore):
    """A storage with addresses of its own."""

    def presigned_url(self, name: str, lifetime_s: int) -> str | None:
        return f"https://bucket.example/{name}?X-Expires={lifetime_s}"


class BrokenBucket(LocalStore):
    def presigned_url(self, name: str, lifetime_s: int) -> str | None:
        raise StoreError("The storage cannot be reached.")


@pytest.fixture
def file(bench: Bench) -> str:
    """The name of a stored picture."""
    services = container.build(bench.ports, summary_age_s=0)
    job_factory.connect_extension(bench)
    job = job_factory.processing_job(bench)
    job_factory.report_generated(bench, job, "data:image/png;base64," + b64encode(png(600, 300)).decode())
    services.download.run()
    [image] = services.lookup.details(job.id).images
    return image.file


def serving(bench: Bench, store: type[LocalStore] = Bucket, **settings: Any) -> FlaskClient:
    """A client of the application with these settings."""
    ports = bench.with_settings(**settings).with_ports(store=store(bench.store.root)).ports
    services = container.build(ports, summary_age_s=0)
    return create_app(services.settings, services).test_client()


def test_pictures_are_sent_unless_redirects_are_wanted(bench: Bench, file: str) -> None:
    assert serving(bench).get(f"/generated-images/{file}").status_code == 200


def test_a_folder_has_no_addresses_to_redirect_to(bench: Bench, file: str) -> None:
    assert serving(bench, LocalStore, serve_redirect=True).get(f"/generated-images/{file}").status_code == 200


def test_a_redirect_leads_to_the_storage_and_is_not_cached_for_longer_than_that(bench: Bench, file: str) -> None:
    answer = serving(bench, serve_redirect=True).get(f"/generated-images/{file}")
    assert (answer.status_code, answer.data) == (302, b"")
    assert answer.headers["Location"] == f"https://bucket.example/{file}?X-Expires=3600"
    assert answer.headers["Cache-Control"] == "private, max-age=1800"
    assert answer.headers["Cross-Origin-Resource-Policy"] == "cross-origin"


def test_a_rendition_is_made_before_the_redirect_to_it(bench: Bench, file: str) -> None:
    client = serving(bench, serve_redirect=True)
    for address, name in (
        (file.replace(".png", ".256.webp"),) * 2,
        (f"{file}?format=jpeg", file.replace("png", "jpeg")),
    ):
        answer = client.get(f"/generated-images/{address}")
        assert answer.status_code == 302
        assert answer.headers["Location"].startswith(f"https://bucket.example/{name}?")
        assert (bench.store.root / name).exists()


def test_head_is_answered_here(bench: Bench, file: str) -> None:
    answer = serving(bench, serve_redirect=True).head(f"/generated-images/{file}")
    assert (answer.status_code, answer.content_type) == (200, "image/png")


def test_a_cdn_comes_before_the_storage(bench: Bench, file: str) -> None:
    client = serving(bench, serve_redirect=True, cdn_base_url=CDN)
    answer = client.get(f"/generated-images/{file}")
    assert (answer.status_code, answer.headers["Location"]) == (302, f"{CDN}/{file}")
    assert answer.headers["Cache-Control"] == "public, max-age=1800"
    small = file.replace(".png", ".256.webp")
    assert client.get(f"/generated-images/{small}").headers["Location"] == f"{CDN}/{small}"
    assert (bench.store.root / small).exists()


@pytest.mark.parametrize("settings", [{"serve_redirect": True}, {"cdn_base_url": CDN}], ids=["storage", "CDN"])
def test_there_are_no_redirects_to_what_does_not_exist(bench: Bench, file: str, settings: dict[str, Any]) -> None:
    client = serving(bench, **settings)
    missing = "550e8400-e29b-41d4-a716-446655440000_1"
    for name in (f"{missing}.png", f"{missing}.256.webp", "x.png", "..%2fx"):
        assert client.get(f"/generated-images/{name}").status_code == 404
    bench.store.delete(file)
    assert client.get(f"/generated-images/{file.replace('.png', '.256.webp')}").status_code == 404


@pytest.mark.parametrize("settings", [{"serve_redirect": True}, {"cdn_base_url": CDN}], ids=["storage", "CDN"])
def test_redirects_need_a_signature_where_one_is_required(bench: Bench, file: str, settings: dict[str, Any]) -> None:
    client = serving(bench, url_signing_required=True, signed_url_lifetime_ms=60_000, **settings)
    path = f"/generated-images/{file}"
    assert client.get(path).status_code == 403
    assert client.get(f"{path}?expires=9&signature=x").status_code == 403
    [image] = client.get(f"/api/images/{file.partition('_')[0]}").json["images"]
    answer = client.get(image["signedUrl"])
    assert answer.status_code == 302
    scope, _, seconds = answer.headers["Cache-Control"].partition(", max-age=")
    assert scope == "private"
    assert int(seconds) <= 120
    [lifetime] = parse_qs(answer.headers["Location"].partition("?")[2]).get("X-Expires", ["0"])
    assert int(lifetime) <= 120


def test_a_storage_that_fails_is_answered_with_503(bench: Bench, file: str) -> None:
    answer = serving(bench, BrokenBucket, serve_redirect=True).get(f"/generated-images/{file}")
    assert (answer.status_code, answer.json["code"]) == (503, "ERR_UNAVAILABLE")
