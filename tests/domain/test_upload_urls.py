"""Upload grants, and the URLs of uploads."""

from __future__ import annotations

import dataclasses
from urllib.parse import parse_qs

import pytest

from app.domain.errors import Forbidden
from app.domain.upload_urls import UploadGrant, UploadLocation

ID = "550e8400-e29b-41d4-a716-446655440000"
KEY = b"k" * 32
GRANT = UploadGrant(ID, 2, 5_000)


def test_a_grant_is_valid_until_it_expires() -> None:
    query = parse_qs(GRANT.query(KEY))
    assert (query["attempt"], query["expires"]) == (["2"], ["5000"])
    GRANT.check(KEY, query["signature"][0], now_ms=5_000)
    with pytest.raises(Forbidden, match="expired"):
        GRANT.check(KEY, query["signature"][0], now_ms=5_001)


@pytest.mark.parametrize("changed", [{"request_id": ID[:-1] + "1"}, {"attempt": 3}, {"expires_at": 9_999}])
def test_a_grant_is_valid_for_nothing_else(changed: dict[str, object]) -> None:
    other = dataclasses.replace(GRANT, **changed)  # type: ignore[arg-type]
    with pytest.raises(Forbidden, match="signature"):
        other.check(KEY, GRANT.signature(KEY), now_ms=0)


@pytest.mark.parametrize("signature", ["", "0" * 64, "ß", "\ud800", "a" * 10_000])
def test_a_wrong_signature_is_rejected(signature: str) -> None:
    with pytest.raises(Forbidden):
        GRANT.check(KEY, signature, now_ms=0)


def test_another_key_makes_another_signature() -> None:
    assert GRANT.signature(KEY) != GRANT.signature(b"x" * 32)


@pytest.mark.parametrize("base", ["http://127.0.0.1:3000", "https://pictures.example/behind/a/path"])
def test_an_upload_is_identified_by_its_url(base: str) -> None:
    location = UploadLocation(ID, 2, 9)
    assert UploadLocation.from_url(base + location.path) == location


@pytest.mark.parametrize(
    "url",
    [
        f"/api/uploads/{ID}/2/0",
        f"ftp://a/api/uploads/{ID}/2/0",
        f"https://a/api/uploads/{ID}/2/0?x",
        f"https://a/?/api/uploads/{ID}/2/0",
        f"https://a/api/uploads/{ID}/2/-1",
        f"https://a/api/uploads/{ID}/٢/0",
        f"https://a/api/uploads/{ID}/2/0\n",
        "https://a/api/uploads/x/2/0",
        "https://a/a.png",
    ],
)
def test_other_urls_identify_no_upload(url: str) -> None:
    assert UploadLocation.from_url(url) is None
