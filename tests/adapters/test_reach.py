"""Which hosts a fetch may connect to."""

from __future__ import annotations

import pytest

from app.adapters.fetch_errors import (
    AddressRefused,
    UrlRefused,
)
from app.network_settings import Allowlist
from tests.support.hostile_server import HostileServer
from tests.support.local_fetch import fetch, resolving
from tests.support.misbehaviours import IMAGE


@pytest.mark.parametrize(
    "url",
    [
        "",
        "ftp://images.example/",
        "http://user@images.example/",
        "http://127.1/",
        "http://images.example/" + "a" * 9_000,
    ],
)
def test_an_invalid_url_is_refused(url: str) -> None:
    with pytest.raises(UrlRefused) as caught:
        fetch(url)
    assert not caught.value.retryable


def test_without_an_allowlist_this_machine_is_refused(host: HostileServer) -> None:
    with pytest.raises(AddressRefused):
        fetch(host.url("ok"), allow=Allowlist())
    with pytest.raises(AddressRefused):
        fetch(host.url("ok", host="localhost"), allow=Allowlist())
    assert host.requests == []


def test_an_allowed_host_may_be_at_a_private_address(host: HostileServer) -> None:
    allow = Allowlist(hosts=frozenset({"images.internal"}))
    content = fetch(host.url("ok", host="images.internal"), allow=allow, resolve=resolving("127.0.0.1"))
    assert content == IMAGE
    assert host.requests[0].headers["host"] == f"images.internal:{host.port}"


def test_a_host_with_one_private_address_is_refused(host: HostileServer) -> None:
    with pytest.raises(AddressRefused):
        fetch(host.url("ok", host="images.example"), resolve=resolving("127.0.0.1", "10.0.0.1"))
    assert host.requests == []


def test_a_name_is_resolved_once_so_dns_rebinding_has_no_effect(host: HostileServer) -> None:
    answers = iter([["127.0.0.1"], ["10.0.0.1"]])
    resolved = []

    def rebinding(name: str, port: int) -> list[str]:
        resolved.append(name)
        return next(answers)

    assert fetch(host.url("ok", host="images.example"), resolve=rebinding) == IMAGE
    assert resolved == ["images.example"]


def test_a_name_is_resolved_again_for_each_redirect(host: HostileServer) -> None:
    answers = iter([["127.0.0.1"], ["10.0.0.1"]])
    with pytest.raises(AddressRefused):
        fetch(host.url("redirect-to-ok", host="images.example"), resolve=lambda name, port: next(answers))
    assert host.request_count("ok") == 0


def test_the_next_address_is_tried_if_the_first_is_unreachable(host: HostileServer) -> None:
    content = fetch(host.url("ok", host="images.example"), resolve=resolving("127.0.0.2", "127.0.0.1"))
    assert content == IMAGE


def test_proxies_of_the_environment_are_not_used(host: HostileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9/")
    assert fetch(host.url("ok")) == IMAGE
