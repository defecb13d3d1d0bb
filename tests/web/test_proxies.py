"""X-Forwarded-* headers are ignored unless a trusted proxy sends them."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from app import container, network_settings
from app.factory import create_app
from app.web.proxies import FORWARDED, TrustedProxies
from tests.support.fakes import Bench

TRUSTED = network_settings.networks("10.0.0.0/8, 127.0.0.1, 2001:db8:1::/48")
PROXY = "10.0.0.1"


def seen(peer: str, **claims: str) -> dict[str, Any]:
    """The environment that the application receives."""
    environ: dict[str, Any] = {"REMOTE_ADDR": peer, "wsgi.url_scheme": "http", "HTTP_HOST": "inside", "SCRIPT_NAME": ""}
    environ.update({f"HTTP_X_FORWARDED_{name.upper()}": value for name, value in claims.items()})
    TrustedProxies(lambda _environ, _start_response: [], TRUSTED)(environ, lambda *_: lambda _body: None)
    return environ


@pytest.mark.parametrize(
    ("peer", "chain", "address"),
    [
        (PROXY, "203.0.113.7", "203.0.113.7"),
        (PROXY, "203.0.113.7:4711", "203.0.113.7"),
        (PROXY, "2001:db8::7", "2001:db8::7"),
        (PROXY, "[2001:db8::7]:4711", "2001:db8::7"),
        (PROXY, "6.6.6.6, 203.0.113.7", "203.0.113.7"),
        (PROXY, "127.0.0.1, 6.6.6.6, 203.0.113.7", "203.0.113.7"),
        (PROXY, "203.0.113.7, 10.2.3.4", "203.0.113.7"),
        (PROXY, "6.6.6.6, 203.0.113.7, 10.2.3.4, 127.0.0.1", "203.0.113.7"),
        (PROXY, "10.9.9.9", "10.9.9.9"),
        (PROXY, "203.0.113.7, unknown", PROXY),
        (PROXY, "203.0.113.7, junk, 10.2.3.4", "10.2.3.4"),
        (PROXY, "", PROXY),
        (PROXY, " , ,", PROXY),
        (PROXY, "1" * 5000, PROXY),
        ("::ffff:10.0.0.1", "203.0.113.7", "203.0.113.7"),
        ("2001:db8:1::1", "203.0.113.7", "203.0.113.7"),
        ("203.0.113.9", "6.6.6.6", "203.0.113.9"),
        ("11.0.0.1", "6.6.6.6", "11.0.0.1"),
        ("", "6.6.6.6", ""),
    ],
)
def test_the_client_is_the_nearest_address_that_is_no_trusted_proxy(peer: str, chain: str, address: str) -> None:
    assert seen(peer, **{"for": chain})["REMOTE_ADDR"] == address


@pytest.mark.parametrize(
    ("claims", "changed"),
    [
        ({"proto": "https"}, {"wsgi.url_scheme": "https"}),
        ({"proto": "HTTPS"}, {"wsgi.url_scheme": "https"}),
        ({"proto": "javascript"}, {}),
        ({"proto": "http, https"}, {"wsgi.url_scheme": "https"}),
        (
            {"proto": "https, http", "for": "203.0.113.7, 10.2.2.2"},
            {"wsgi.url_scheme": "https", "REMOTE_ADDR": "203.0.113.7"},
        ),
        ({"host": "img.example:8443"}, {"HTTP_HOST": "img.example:8443"}),
        ({"host": "[2001:db8::1]"}, {"HTTP_HOST": "[2001:db8::1]"}),
        ({"host": "img.example/evil"}, {}),
        ({"host": 'x"><b>'}, {}),
        ({"host": "user@img.example"}, {}),
        ({"host": "a\r\nSet-Cookie: b"}, {}),
        ({"prefix": "/pictures/v1/"}, {"SCRIPT_NAME": "/pictures/v1"}),
        ({"prefix": "//evil.example"}, {}),
        ({"prefix": "/a/../b"}, {}),
        ({"prefix": "https://evil.example"}, {}),
    ],
)
def test_valid_headers_of_a_trusted_proxy_are_used(claims: dict[str, str], changed: dict[str, str]) -> None:
    plain = {"REMOTE_ADDR": PROXY, "wsgi.url_scheme": "http", "HTTP_HOST": "inside", "SCRIPT_NAME": ""}
    got = seen(PROXY, **claims)
    assert {name: got[name] for name in plain} == {**plain, **changed}


def test_headers_of_other_clients_are_removed() -> None:
    claims = {"for": "6.6.6.6", "proto": "https", "host": "evil.example", "prefix": "/evil"}
    assert seen("203.0.113.9", **claims) == {
        "REMOTE_ADDR": "203.0.113.9",
        "wsgi.url_scheme": "http",
        "HTTP_HOST": "inside",
        "SCRIPT_NAME": "",
        FORWARDED: False,
    }


CLAIMS = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "img.example", "X-Forwarded-Prefix": "/p"}


@pytest.fixture
def behind_proxy(bench: Bench) -> FlaskClient:
    """An application that trusts 127.0.0.1, the address of test clients."""
    services = container.build(bench.with_settings(trusted_proxies=TRUSTED).ports)
    return create_app(services.settings, services).test_client()


def test_addresses_follow_a_trusted_proxy(behind_proxy: FlaskClient) -> None:
    info = behind_proxy.get("/api/websocket/info", headers=CLAIMS).json
    assert info["url"] == "wss://img.example/p/ws"
    plain = {**CLAIMS, "X-Forwarded-Proto": "http"}
    assert behind_proxy.get("/api/websocket/info", headers=plain).json["url"] == "ws://img.example/p/ws"
    assert behind_proxy.get("/api/websocket/info").json["url"] == "ws://localhost:3001/ws"


def test_without_a_trusted_proxy_the_headers_are_ignored(client: FlaskClient) -> None:
    assert client.get("/api/websocket/info", headers=CLAIMS).json["url"] == "ws://localhost:3001/ws"


def test_the_public_url_has_priority_over_proxy_headers(bench: Bench) -> None:
    changed = bench.with_settings(trusted_proxies=TRUSTED, public_url="https://public.example")
    services = container.build(changed.ports)
    client = create_app(services.settings, services).test_client()
    assert client.get("/api/websocket/info", headers=CLAIMS).json["url"] == "wss://public.example/ws"
