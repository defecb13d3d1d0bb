"""Which addresses files may be fetched from."""

from __future__ import annotations

import ipaddress
import socket
import threading
from collections.abc import Sequence

import pytest
from structlog.testing import capture_logs

from app.adapters.addresses import AddressRules, is_public
from app.adapters.fetch_errors import AddressRefused, LookupFailed
from app.network_settings import Allowlist

NOT_PUBLIC = [
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "100.64.0.1",
    "100.100.100.200",
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.8",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::8.8.8.8",
    "::ffff:127.0.0.1",
    "::ffff:8.8.8.8",
    "64:ff9b::7f00:1",
    "64:ff9b::808:808",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:2::1",
    "2001:10::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:808:808::1",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "ff0e::1",
]
PUBLIC = ["1.1.1.1", "8.8.8.8", "93.184.216.34", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "2a00:1450:4001::1"]


@pytest.mark.parametrize("text", NOT_PUBLIC)
def test_private_addresses_are_not_public(text: str) -> None:
    assert not is_public(ipaddress.ip_address(text))


@pytest.mark.parametrize("text", PUBLIC)
def test_public_addresses_are_public(text: str) -> None:
    assert is_public(ipaddress.ip_address(text))


def rules(*answers: str, hosts: Sequence[str] = (), networks: Sequence[str] = ()) -> AddressRules:
    allowlist = Allowlist(frozenset(hosts), tuple(ipaddress.ip_network(network) for network in networks))
    return AddressRules(allowlist, lambda host, port: answers)


def test_each_address_of_a_host_is_returned_once() -> None:
    admitted = rules("8.8.8.8", "2606:4700::1111", "8.8.8.8").admit("images.example", 443, 1)
    assert [str(address) for address in admitted] == ["8.8.8.8", "2606:4700::1111"]


@pytest.mark.parametrize("private", ["10.0.0.1", "::1", "169.254.169.254", "fe80::1%eth0"])
def test_a_host_with_one_private_address_is_refused(private: str) -> None:
    with pytest.raises(AddressRefused, match="not at a public address"):
        rules("8.8.8.8", private, "1.1.1.1").admit("images.example", 443, 1)


def test_an_ip_address_is_not_resolved() -> None:
    resolved: list[str] = []

    def resolve(host: str, port: int) -> list[str]:
        resolved.append(host)
        return []

    assert [str(found) for found in AddressRules(Allowlist(), resolve).admit("8.8.8.8", 80, 1)] == ["8.8.8.8"]
    assert resolved == []


def test_an_allowed_host_may_have_any_address_and_port() -> None:
    assert rules("10.0.0.1", "127.0.0.1", hosts=["images.internal"]).admit("images.internal", 81, 1)
    assert rules("10.0.0.1", hosts=["images.internal."]).admit("images.internal", 81, 1)
    with pytest.raises(AddressRefused):
        rules("10.0.0.1", hosts=["images.internal"]).admit("sub.images.internal", 80, 1)


def test_only_addresses_in_an_allowed_network_count_as_public() -> None:
    assert rules("10.1.2.3", "8.8.8.8", networks=["10.1.0.0/16"]).admit("images.example", 80, 1)
    assert rules(networks=["127.0.0.0/8"]).admit("127.0.0.1", 81, 1)
    with pytest.raises(AddressRefused):
        rules("10.1.2.3", "10.2.0.1", networks=["10.1.0.0/16"]).admit("images.example", 80, 1)


@pytest.mark.parametrize("port", [22, 25, 53, 81, 587, 1023])
def test_a_port_of_another_protocol_is_refused(port: int) -> None:
    with pytest.raises(AddressRefused, match=f"Port {port}"):
        rules("8.8.8.8").admit("images.example", port, 1)


@pytest.mark.parametrize("port", [80, 443, 1024, 3000, 8080, 65535])
def test_a_port_for_http_is_admitted(port: int) -> None:
    assert rules("8.8.8.8").admit("images.example", port, 1)


def raising(error: Exception) -> AddressRules:
    def resolve(host: str, port: int) -> list[str]:
        raise error

    return AddressRules(Allowlist(), resolve)


REFUSED = {
    "no such name": raising(socket.gaierror(socket.EAI_NONAME, "unknown")),
    "no address": raising(socket.gaierror(socket.EAI_NODATA, "no data")),
    "no answers": rules(),
    "an internal name": rules("10.0.0.1"),
    "a loopback name": rules("127.0.0.1", "::1"),
    "an invalid address": rules("8.8.8.8", "not an address"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_refusal_does_not_tell_whether_the_host_exists(name: str) -> None:
    with capture_logs() as lines, pytest.raises(AddressRefused) as refused:
        REFUSED[name].admit("images.example", 80, 1)
    assert str(refused.value) == "images.example is not at a public address, so no request is sent to it."
    assert not refused.value.retryable
    assert [(line["action"], line["host"]) for line in lines] == [("fetch.refused", "images.example")]


def test_the_operators_log_tells_the_reason_of_a_refusal() -> None:
    reasons: set[str] = set()
    for each in REFUSED.values():
        with capture_logs() as lines, pytest.raises(AddressRefused):
            each.admit("images.example", 80, 1)
        reasons.add(lines[0]["reason"])
    assert len(reasons) == 4


@pytest.mark.parametrize("error", [socket.gaierror(socket.EAI_AGAIN, "later"), OSError("broken"), UnicodeError("odd")])
def test_a_failure_of_the_resolver_may_be_retried(error: Exception) -> None:
    with pytest.raises(LookupFailed) as caught:
        raising(error).admit("images.example", 80, 1)
    assert caught.value.retryable


def test_a_resolver_that_never_answers_times_out() -> None:
    over = threading.Event()

    def resolve(host: str, port: int) -> list[str]:
        over.wait()
        return []

    with pytest.raises(LookupFailed, match=r"Looking up images\.example"):
        AddressRules(Allowlist(), resolve).admit("images.example", 80, 0.05)
    over.set()
