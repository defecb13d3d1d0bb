"""Signed addresses of pictures, and what is refused where only those are served."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

import pytest
from flask.testing import FlaskClient

from app import container
from app.container import Services
from app.domain.access import Role, Scope
from app.domain.images import Rendition, rendition_name
from app.domain.signed_urls import HOUR_MS
from app.domain.upload_urls import UploadGrant
from app.factory import create_app
from app.services import picture_grants
from tests.support import job_factory
from tests.support.fakes import Bench
from tests.support.image_samples import png
from tests.support.job_factory import update_job

NOW = 1_705_238_520_000
REFUSED = "ERR_FORBIDDEN"


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Sets the time, in ms, that signed addresses go by."""

    def to(now_ms: int) -> None:
        monkeypatch.setattr(picture_grants, "_now_ms", lambda: now_ms)

    to(NOW)
    return to


@pytest.fixture
def signing(bench: Bench) -> Services:
    """The services where credentials and signed addresses are required."""
    changed = bench.with_settings(auth_required=True, url_signing_required=True)
    return container.build(changed.ports, summary_age_s=0)


@pytest.fixture
def viewer(signing: Services) -> FlaskClient:
    """Somebody without a credential."""
    return create_app(signing.settings, signing).test_client()


@pytest.fixture
def file(bench: Bench, signing: Services) -> str:
    """The name of a picture of ann."""
    job_factory.connect_extension(bench)
    job = job_factory.processing_job(bench)
    job_factory.report_generated(bench, job, "data:image/png;base64," + b64encode(png(600, 300)).decode())
    signing.download.run()
    update_job(bench.database, job, user_id="ann")
    [image] = signing.lookup.details(job.id).images
    return image.file


def bearer(services: Services, user: str, role: Role = Role.USER, *scopes: Scope) -> dict[str, str]:
    services.accounts.create_user(user, role)
    granted = tuple(Scope) if role is Role.OPERATOR else (Scope.READ, Scope.WRITE)
    return {"Authorization": f"Bearer {services.accounts.create_key(user, scopes or granted)}"}


def signed(services: Services, file: str) -> str:
    """The path and query of the signed address."""
    return f"/generated-images/{file}?{services.picture_grants.query(file)}"


# -- results


def test_results_have_a_signed_address_and_thumbnails(client: FlaskClient, file: str) -> None:
    result = client.get(f"/api/images/{file.partition('_')[0]}").json
    [image] = result["images"]
    assert image["imagePath"] == f"/generated-images/{file}"
    parts = urlsplit(image["signedUrl"])
    assert f"{parts.scheme}://{parts.netloc}{parts.path}" == f"http://localhost/generated-images/{file}"
    assert list(parse_qs(parts.query)) == ["expires", "signature"]
    stem = f"http://localhost/generated-images/{file.removesuffix('.png')}"
    assert image["thumbnails"] == {"256": f"{stem}.256.webp", "1024": f"{stem}.1024.webp"}
    for address in (image["signedUrl"], *image["thumbnails"].values()):
        assert client.get(address).status_code == 200


def test_addresses_in_results_are_served_where_a_signature_is_required(
    viewer: FlaskClient, signing: Services, file: str
) -> None:
    path = f"/api/images/{file.partition('_')[0]}"
    [image] = viewer.get(path, headers=bearer(signing, "ann")).json["images"]
    for address in (image["signedUrl"], *image["thumbnails"].values()):
        assert viewer.get(address).status_code == 200
    assert viewer.get(image["signedUrl"] + "&format=webp").content_type == "image/webp"


def test_an_address_stays_the_same_within_an_hour(client: FlaskClient, file: str, clock: Callable[[int], None]) -> None:
    path = f"/api/images/{file.partition('_')[0]}"
    first = client.get(path).json["images"]
    clock((NOW // HOUR_MS + 1) * HOUR_MS)
    assert client.get(path).json["images"] == first
    clock((NOW // HOUR_MS + 1) * HOUR_MS + 1)
    assert client.get(path).json["images"] != first


def test_the_signature_is_ignored_where_none_is_required(client: FlaskClient, file: str) -> None:
    answer = client.get(f"/generated-images/{file}?expires=yesterday&signature=ß")
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"].startswith("public")


# -- where signed addresses are required


def test_an_answer_to_a_signed_address_is_cached_until_it_expires(
    viewer: FlaskClient, signing: Services, file: str
) -> None:
    address = signed(signing, file)
    answer = viewer.get(address)
    rest = (int(parse_qs(urlsplit(address).query)["expires"][0]) - NOW) // 1000
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == f"private, max-age={rest}"
    assert viewer.get(address, headers={"If-None-Match": answer.headers["ETag"]}).status_code == 304
    assert viewer.get(address, headers={"Range": "bytes=2-5"}).data == answer.data[2:6]
    assert viewer.head(address).status_code == 200


@pytest.mark.parametrize("rendition", Rendition)
def test_one_signature_is_valid_for_all_renditions(
    viewer: FlaskClient, signing: Services, file: str, rendition: Rendition
) -> None:
    query = signing.picture_grants.query(file)
    assert viewer.get(f"/generated-images/{rendition_name(file, rendition)}?{query}").status_code == 200
    assert viewer.get(f"/generated-images/{rendition_name(file, rendition)}").status_code == 403


def test_a_signed_address_expires(
    viewer: FlaskClient, signing: Services, file: str, clock: Callable[[int], None]
) -> None:
    address = signed(signing, file)
    expires = int(parse_qs(urlsplit(address).query)["expires"][0])
    clock(expires)
    assert viewer.get(address).status_code == 200
    clock(expires + 1)
    answer = viewer.get(address)
    assert (answer.status_code, answer.json["code"]) == (403, REFUSED)
    assert "expired" in answer.json["detail"]
    assert answer.headers["Cache-Control"] == "no-store"


FORGED = {
    "nothing": "",
    "no signature": "expires={expires}",
    "no expiry": "signature={signature}",
    "an empty signature": "expires={expires}&signature=",
    "zeros": f"expires={{expires}}&signature={'0' * 64}",
    "the first half": "expires={expires}&signature={half}",
    "upper case": "expires={expires}&signature={upper}",
    "a space": "expires={expires}&signature={signature}%20",
    "a longer life": "expires={later}&signature={signature}",
    "a zero before it": "expires=0{expires}&signature={signature}",
    "a sign before it": "expires=%2B{expires}&signature={signature}",
    "another notation": "expires={expires}.0&signature={signature}",
    "digits of another script": "expires=%D9%A1{expires}&signature={signature}",
    "a huge number": f"expires={'9' * 5_000}&signature={{signature}}",
    "a negative number": "expires=-1&signature={signature}",
    "not ASCII": "expires={expires}&signature=%C3%9F",
    "not UTF-8": "expires={expires}&signature=%FF%FE",
    "a zero byte": "expires={expires}&signature={signature}%00",
    "other names": "Expires={expires}&Signature={signature}",
    "a repeated signature": "expires={expires}&signature=x&signature={signature}",
    "a repeated expiry": "expires={later}&expires={expires}&signature={signature}",
    "a list": "expires[]={expires}&signature[]={signature}",
    "two in one": "expires={expires}%26signature={signature}",
    "of another picture": "expires={expires}&signature={other}",
    "of an upload": "expires={expires}&signature={upload}",
    "in the fragment": "#expires={expires}&signature={signature}",
}


@pytest.mark.parametrize("query", FORGED.values(), ids=FORGED)
@pytest.mark.parametrize("end", [".png", ".256.webp"])
def test_forged_signatures_are_refused(viewer: FlaskClient, signing: Services, file: str, query: str, end: str) -> None:
    real = parse_qs(signing.picture_grants.query(file))
    expires, signature = real["expires"][0], real["signature"][0]
    other = parse_qs(signing.picture_grants.query(file.replace("_1", "_2")))["signature"][0]
    values = {"expires": expires, "signature": signature, "half": signature[:32], "upper": signature.upper()}
    values |= {
        "later": str(int(expires) + 1),
        "other": other,
        "upload": UploadGrant(file, 1, int(expires)).signature(b"k" * 32),
    }
    path = f"/generated-images/{file.removesuffix('.png')}{end}"
    assert viewer.get(f"{path}?expires={expires}&signature={signature}").status_code == 200
    answer = viewer.get(f"{path}?{query.format(**values)}")
    assert (answer.status_code, answer.json["code"]) == (403, REFUSED)
    assert "signedUrl" in answer.json["detail"]


def test_of_repeated_parameters_the_first_counts(viewer: FlaskClient, signing: Services, file: str) -> None:
    assert viewer.get(f"{signed(signing, file)}&signature=x&expires=1").status_code == 200


def test_a_signature_is_not_valid_for_another_picture(viewer: FlaskClient, signing: Services, file: str) -> None:
    query = signing.picture_grants.query("550e8400-e29b-41d4-a716-446655440000_1.png")
    assert viewer.get(f"/generated-images/{file}?{query}").status_code == 403


def test_unsigned_addresses_do_not_tell_whether_there_is_a_picture(viewer: FlaskClient, signing: Services) -> None:
    missing = "550e8400-e29b-41d4-a716-446655440000_1.png"
    assert viewer.get(f"/generated-images/{missing}").status_code == 403
    assert viewer.get(signed(signing, missing)).status_code == 404
    assert viewer.get("/generated-images/x.png").status_code == 404


def test_the_owner_and_operators_need_no_signature(viewer: FlaskClient, signing: Services, file: str) -> None:
    path = f"/generated-images/{file}"
    for headers in (bearer(signing, "ann", Role.USER, Scope.READ), bearer(signing, "olga", Role.OPERATOR)):
        answer = viewer.get(path, headers=headers)
        assert answer.status_code == 200
        assert answer.headers["Cache-Control"] == "private, no-cache"
        assert "Authorization" in answer.headers["Vary"]
        assert viewer.get(f"{path}?expires=1&signature=x", headers=headers).status_code == 200


def test_other_users_need_a_signature(viewer: FlaskClient, signing: Services, file: str) -> None:
    bob = bearer(signing, "bob")
    assert viewer.get(f"/generated-images/{file}", headers=bob).status_code == 403
    missing = "550e8400-e29b-41d4-a716-446655440000_1.png"
    assert viewer.get(f"/generated-images/{missing}", headers=bob).status_code == 403
    assert viewer.get(signed(signing, file), headers=bob).status_code == 200


def test_a_key_that_may_not_read_needs_a_signature(viewer: FlaskClient, signing: Services, file: str) -> None:
    answer = viewer.get(f"/generated-images/{file}", headers=bearer(signing, "ann", Role.USER, Scope.WRITE))
    assert (answer.status_code, answer.json["code"]) == (403, REFUSED)


def test_an_invalid_credential_is_refused_only_without_a_signature(
    viewer: FlaskClient, signing: Services, file: str
) -> None:
    headers = {"Authorization": "Bearer imgk_0123456789abcdef_" + "0" * 64}
    assert viewer.get(f"/generated-images/{file}", headers=headers).status_code == 401
    assert viewer.get(signed(signing, file), headers=headers).status_code == 200


def test_another_secret_makes_all_addresses_invalid(
    bench: Bench, signing: Services, viewer: FlaskClient, file: str
) -> None:
    address = signed(signing, file)
    ports = bench.with_settings(auth_required=True, url_signing_required=True, secret_key="x" * 32).ports
    changed = container.build(ports)
    assert create_app(changed.settings, changed).test_client().get(address).status_code == 403
