"""Pictures that are embedded in a URL."""

from __future__ import annotations

import base64

import pytest

from app.domain import data_urls

DATA = b"some bytes!"


def url(data: bytes = DATA, head: str = "data:image/png;base64,") -> str:
    return head + base64.b64encode(data).decode()


@pytest.mark.parametrize(
    "head",
    [
        "data:image/png;base64,",
        "data:image/jpeg;base64,",
        "data:image/webp;base64,",
        "data:image/jpg;base64,",
        "data:image/x-png;base64,",
        "data:application/octet-stream;base64,",
        "data:text/html;base64,",
        "data:;base64,",
        "DATA:image/PNG;BASE64,",
        "data:image/png;charset=utf-8;base64,",
        "data:image/png;name=a.png; base64 ,",
    ],
)
def test_a_data_url_is_decoded_whatever_its_label(head: str) -> None:
    assert data_urls.decode(url(head=head), len(DATA)) == DATA


@pytest.mark.parametrize(
    ("body", "data"),
    [
        ("AAAA", bytes(3)),
        ("AAA", bytes(2)),
        ("AA", bytes(1)),
        ("AAAA=", bytes(3)),
        ("AAAA====", bytes(3)),
        ("AA-_", b"\0\x0f\xbf"),
        ("AA+/", b"\0\x0f\xbf"),
        ("AA AA", bytes(3)),
        ("AAAA\n", bytes(3)),
        ("\r\n\tAA\r\nAA\f ", bytes(3)),
        ("AA%0D%0AAA", bytes(3)),
        ("AA%20AA", bytes(3)),
        ("AA%2B%2F", b"\0\x0f\xbf"),
        ("%41%41%41%3D", bytes(2)),
    ],
)
def test_base64_is_read_as_browsers_read_it(body: str, data: bytes) -> None:
    assert data_urls.decode("data:image/png;base64," + body, 3) == data


def test_base64_in_lines_of_76_characters_may_have_as_many_bytes_as_other_base64() -> None:
    wrapped = base64.encodebytes(b"x" * 1_000).decode()
    assert data_urls.decode("data:image/png;base64," + wrapped, 1_000) == b"x" * 1_000


def test_a_url_without_base64_contains_its_bytes_percent_encoded() -> None:
    assert data_urls.decode("data:image/png,%89PNG%0d%0A", 6) == b"\x89PNG\r\n"


@pytest.mark.parametrize(
    "bad",
    [
        "data:",
        "data:,",
        "data:image/png;base64",
        "data:image/png;base64,",
        "data:image/png;base64,=",
        "data:image/png;base64, ",
        "data:image/png;base64,A",
        "data:image/png;base64,AAAAA",
        "data:image/png;base64,AAA=A",
        "data:image/png;base64,AA!A",
        "data:image/png;base64,AAAÄ",
        "data:image/png;base64,AAAA%00",
    ],
)
def test_anything_but_base64_of_some_bytes_is_rejected(bad: str) -> None:
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
