"""Signed addresses of pictures."""

from __future__ import annotations

import dataclasses
from urllib.parse import parse_qs

import pytest

from app.domain.errors import Forbidden
from app.domain.signed_urls import HOUR_MS, PictureGrant
from app.domain.upload_urls import UploadGrant

FILE = "550e8400-e29b-41d4-a716-446655440000_17.png"
KEY = b"k" * 32
GRANT = PictureGrant(FILE, 5_000)


def test_a_grant_is_valid_until_it_expires() -> None:
    query = parse_qs(GRANT.query(KEY))
    assert PictureGrant.read(FILE, query["expires"][0]) == GRANT
    GRANT.check(KEY, query["signature"][0], now_ms=5_000)
    with pytest.raises(Forbidden, match="expired"):
        GRANT.check(KEY, query["signature"][0], now_ms=5_001)


@pytest.mark.parametrize(
    "changed", [{"file": FILE.replace("_17", "_18")}, {"file": FILE.replace("55", "56")}, {"expires_at": 9_999}]
)
def test_a_grant_is_valid_for_nothing_else(changed: dict[str, object]) -> None:
    other = dataclasses.replace(GRANT, **changed)  # type: ignore[arg-type]
    with pytest.raises(Forbidden, match="signature"):
        other.check(KEY, GRANT.signature(KEY), now_ms=0)


@pytest.mark.parametrize("signature", ["", "0" * 64, "ß", "\ud800", "a" * 10_000])
def test_a_wrong_signature_is_rejected(signature: str) -> None:
    with pytest.raises(Forbidden, match="signature"):
        GRANT.check(KEY, signature, now_ms=0)


@pytest.mark.parametrize("expires", ["", "0", "-5000", "05000", "5000.0", "5e3", " 5000", "5000\n", "٥", "9" * 17, "x"])
def test_another_expiry_is_rejected(expires: str) -> None:
    with pytest.raises(Forbidden, match="signature"):
        PictureGrant.read(FILE, expires)


def test_another_key_makes_another_signature() -> None:
    assert GRANT.signature(KEY) != GRANT.signature(b"x" * 32)


def test_a_signature_of_an_upload_is_none_of_a_picture() -> None:
    assert UploadGrant(FILE, 5_000, 5_000).signature(KEY) != GRANT.signature(KEY)


@pytest.mark.parametrize("lifetime", [1_000, 60_000, HOUR_MS, 7 * 24 * HOUR_MS, 2**53])
@pytest.mark.parametrize("now", [1, HOUR_MS - 1, HOUR_MS, 1_705_238_520_001])
def test_a_grant_lasts_its_lifetime_and_at_most_an_hour_more(lifetime: int, now: int) -> None:
    expires = PictureGrant.lasting(FILE, lifetime, now).expires_at
    assert lifetime <= expires - now < lifetime + min(HOUR_MS, lifetime)


def test_grants_of_the_same_hour_are_the_same() -> None:
    first, second = (PictureGrant.lasting(FILE, 24 * HOUR_MS, now) for now in (10 * HOUR_MS + 1, 11 * HOUR_MS))
    assert first == second != PictureGrant.lasting(FILE, 24 * HOUR_MS, 11 * HOUR_MS + 1)
