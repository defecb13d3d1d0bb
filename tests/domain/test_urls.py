"""Which http(s) URLs are accepted, and how unusual spellings are interpreted."""

from __future__ import annotations

from ipaddress import IPv6Address

import pytest

from app.domain.urls import MAX_CHARS, BadUrl, WebUrl

REFUSED = [
    "",
    "images.example/a.png",
    "//images.example/a.png",
    "file:///etc/passwd",
    "ftp://images.example/a.png",
    "gopher://images.example:6379/_FLUSHALL",
    "javascript:alert(1)",
    "data:image/png;base64,AAAA",
    "http://",
    "http:///a.png",
    "http:images.example",
    "http://:80/",
    "http://user@images.example/",
    "http://user:secret@images.example/",
    "http://images.example@127.0.0.1/",
    "http://@images.example/",
    "http://images.example:0/",
    "http://images.example:65536/",
    "http://images.example:-1/",
    "http://images.example:80:80/",
    "http://images.example:８０/",
    "http://images.example\\.evil.example/",
    "http://good.example\\@evil.example/",
    "http://images..example/",
    "http://.images.example/",
    "http://images.example../",
    "http://-images.example/",
    "http://%31%32%37.0.0.1/",
    "http://" + "a" * 64 + ".example/",
    "http://" + "a." * 127 + "example/",
    "http://127.1/",
    "http://127.0.1/",
    "http://0x7f000001/",
    "http://0x7f.0.0.1/",
    "http://0X7F.1/",
    "http://2130706433/",
    "http://017700000001/",
    "http://0177.0.0.1/",
    "http://127.0.0.01/",
    "http://127.0.0.256/",
    "http://127.0.0.1.1/",
    "http://0/",
    "http://1.2.3.4.0x/",
    "http://[::1/",
    "http://::1/",
    "http://[::1]x/",
    "http://[fe80::1%25eth0]/",
    "http://[fe80::1%eth0]/",
    "http://[v1.images]/",
    "http://[127.0.0.1]/",
    "http://[]/",
    "http://images.example/a b.png",
    " http://images.example/",
    "http://images.example/\r\nHost: evil",
    "http://images.example/\x00",
    "http://images.ex\tample/",
    "http://images.example/\ud800",
    "http://images.example/" + "a" * MAX_CHARS,
]


@pytest.mark.parametrize("url", REFUSED)
def test_an_ambiguous_url_is_rejected(url: str) -> None:
    with pytest.raises(BadUrl):
        WebUrl.parse(url)


@pytest.mark.parametrize(
    ("url", "host", "port", "target"),
    [
        ("http://images.example", "images.example", 80, "/"),
        ("HTTPS://Images.Example./a.png?b=c#d", "images.example", 443, "/a.png?b=c"),
        ("http://images.example:/a", "images.example", 80, "/a"),
        ("https://images.example:8443/", "images.example", 8443, "/"),
        ("http://127。0。0。1/", "127.0.0.1", 80, "/"),
        ("http://①②⑦.0.0.1/", "127.0.0.1", 80, "/"),
        ("http://bücher.example/ü.png", "xn--bcher-kva.example", 80, "/%C3%BC.png"),
        ("http://[0:0::1]/", "::1", 80, "/"),
        (
            "http://[::FFFF:127.0.0.1]:8080/",
            str(IPv6Address("::ffff:7f00:1")),
            8080,
            "/",
        ),  # Python 3.13 writes it otherwise
        ("http://a_b.example/%41?X-Sig=a%2Fb+c'd", "a_b.example", 80, "/%41?X-Sig=a%2Fb+c'd"),
        ("http://images.example?x", "images.example", 80, "/?x"),
    ],
)
def test_a_url_is_parsed(url: str, host: str, port: int, target: str) -> None:
    parsed = WebUrl.parse(url)
    assert (parsed.host, parsed.port, parsed.target) == (host, port, target)


def test_a_parsed_url_formats_as_it_was() -> None:
    for url in ("http://images.example/a?b", "https://[::1]:8443/", "http://127.0.0.1:81/"):
        assert str(WebUrl.parse(url)) == url


@pytest.mark.parametrize(
    ("location", "leads_to"),
    [
        ("/b.png", "https://images.example/b.png"),
        ("c.png?x=1#y", "https://images.example/dir/c.png?x=1"),
        ("//other.example/", "https://other.example/"),
        ("http://127.0.0.1/", "http://127.0.0.1/"),
        ("/two words.png", "https://images.example/two%20words.png"),
        ("/ü", "https://images.example/%C3%BC"),
    ],
)
def test_a_redirect_is_resolved_against_the_url(location: str, leads_to: str) -> None:
    assert str(WebUrl.parse("https://images.example/dir/a.png").join(location)) == leads_to


@pytest.mark.parametrize("location", ["file:///etc/passwd", "http://u@h/", "http://[::1", "https://0x7f.1/", "data:,x"])
def test_a_redirect_to_a_bad_url_is_rejected(location: str) -> None:
    with pytest.raises(BadUrl):
        WebUrl.parse("https://images.example/").join(location)
