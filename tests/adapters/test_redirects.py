"""Redirects, harmless and harmful."""

from __future__ import annotations

import pytest

from app.adapters.fetch_errors import (
    AddressRefused,
    FetchTimeout,
    RedirectRefused,
)
from tests.support.hostile_server import HostileServer, client_tls_context
from tests.support.local_fetch import SHORT_MS, fetch, redirecting
from tests.support.misbehaviours import IMAGE


def test_all_redirects_share_one_deadline(host: HostileServer) -> None:
    host.behave("/first", redirecting("/drip-headers"))
    with pytest.raises(FetchTimeout):
        fetch(host.url("first"), timeout_ms=SHORT_MS)


@pytest.mark.parametrize("name", ["redirect-to-ok", "redirect-endless-body"])
def test_a_redirect_is_followed_without_reading_its_body(host: HostileServer, name: str) -> None:
    assert fetch(host.url(name)) == IMAGE
    assert host.requests[-1].path.startswith("/ok")


def test_at_most_five_redirects_are_followed(host: HostileServer) -> None:
    for hop in range(6):
        host.behave(f"/hop{hop}", redirecting(f"/hop{hop + 1}"))
    host.serve("/hop6", IMAGE)
    assert fetch(host.url("hop1")) == IMAGE
    with pytest.raises(RedirectRefused, match="more than 5 times"):
        fetch(host.url("hop0"))
    with pytest.raises(RedirectRefused, match="more than 5 times"):
        fetch(host.url("redirect-for-ever"))


def test_a_redirect_loop_is_refused(host: HostileServer) -> None:
    with pytest.raises(RedirectRefused, match="loop") as caught:
        fetch(host.url("redirect-loop"))
    assert not caught.value.retryable
    assert len(host.requests) == 2


@pytest.mark.parametrize(
    "location",
    [
        "file:///etc/passwd",
        "ftp://images.example/",
        "gopher://127.0.0.1:6379/_FLUSHALL",
        "javascript:alert(1)",
        "data:image/png;base64,AAAA",
        "http://user@127.0.0.1/",
        "http://0x7f000001/",
        "http://127.1/",
        "http://[fe80::1%25eth0]/",
        "http://",
        "http://[::1",
    ],
)
def test_a_redirect_to_an_invalid_url_is_refused(host: HostileServer, location: str) -> None:
    with pytest.raises(RedirectRefused):
        fetch(host.url(f"redirect?{location}"))
    with pytest.raises(RedirectRefused):
        fetch(host.url("redirect-nowhere"))


@pytest.mark.parametrize(
    "location",
    [
        "http://169.254.169.254/latest/meta-data/",
        "http://10.0.0.1/",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://[64:ff9b::a9fe:a9fe]/",
        "http://0.0.0.0/",
        "//100.100.100.200/",
    ],
)
def test_a_redirect_to_a_private_address_is_refused(host: HostileServer, location: str) -> None:
    with pytest.raises(AddressRefused) as caught:
        fetch(host.url(f"redirect?{location}"))
    assert not caught.value.retryable


def test_a_redirect_from_https_to_http_is_refused(host: HostileServer, tls_host: HostileServer) -> None:
    with pytest.raises(RedirectRefused, match="from https to http"):
        fetch(tls_host.url(f"redirect?{host.url('ok')}"), tls=client_tls_context())
    assert fetch(host.url(f"redirect?{tls_host.url('ok')}"), tls=client_tls_context()) == IMAGE
    assert host.request_count("ok") == 0
