"""Pictures that are embedded in a URL."""

from __future__ import annotations

import base64

import pytest

from app.domain import data_urls

DATA = b"some bytes!"


def url(data: bytes = DATA, head: str = "data:image/png;base64,") -> str:
    return head + base64.b64encode(data).decode()


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp"])
def test_a_data_url_is_decoded(kind: str) -> None:
    assert data_urls.decode(url(head=f"data:image/{kind};base64,"), len(DATA)) == DATA


@pytest.mark.parametrize(
    "bad",
    [
        "data:,",
        "data:image/png,abc",
        "data:image/png;base64",
        "data:image/png;base64,",
        "data:image/svg+xml;base64,PHN2Zz4=",
        "data:text/html;base64,PHN2Zz4=",
        "data:image/png;charset=utf-8;base64,AAAA",
        "DATA:image/png;base64,AAAA",
        " data:image/png;base64,AAAA",
        "data:image/png;base64,AAA",
        "data:image/png;base64,AAA=A",
        "data:image/png;base64,AAAA=",
        "data:image/png;base64,AAAA====",
        "data:image/png;base64,AA-_",
        "data:image/png;base64,AA AA",
        "data:image/png;base64,AAAA\n",
        "data:image/png;base64,AAAÄ",
        "data:image/png;base64,%41%41%41%41",
    ],
)
def test_anything_but_strict_base64_of_a_picture_is_rejected(bad: str) -> None:
    with pytest.raises(data_urls.BadDataUrl):
        data_urls.decode(bad, 1_000)


@pytest.mark.parametrize("size", [11, 12, 13, 1_000_000])
def test_more_bytes_than_allowed_are_rejected(size: int) -> None:
    with pytest.raises(data_urls.BadDataUrl, match="more than 10 bytes"):
        data_urls.decode(url(b"x" * size), 10)


@pytest.mark.parametrize("size", range(1, 11))
def test_as_many_bytes_as_allowed_are_accepted(size: int) -> None:
    assert data_urls.decode(url(b"x" * size), size) == b"x" * size


def test_a_data_url_is_recognised_by_its_scheme() -> None:
    assert data_urls.is_data_url("DATA:whatever")
    assert not data_urls.is_data_url("https://data.example/")
