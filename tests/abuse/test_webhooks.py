"""Webhooks with internal addresses: nothing inside may receive a connection, whenever and however the address is given."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.adapters.poster import Poster
from app.domain.errors import InvalidRequest, WebhookRefused
from app.domain.webhooks import Target, clean_url
from app.network_settings import Allowlist
from tests.support.fakes import Bench
from tests.support.harness import Harness
from tests.support.receiver import HttpReceiver, receiving
from tests.support.webhooks import Receiver, deliver, make_due

INSIDE = [
    "http://127.0.0.1:{port}/",
    "http://localhost:{port}/",
    "http://LOCALHOST.:{port}/",
    "http://127.1:{port}/",
    "http://2130706433:{port}/",
    "http://0x7f000001:{port}/",
    "http://0177.0.0.1:{port}/",
    "http://0.0.0.0:{port}/",
    "http://[::1]:{port}/",
    "http://[::]:{port}/",
    "http://[::ffff:127.0.0.1]:{port}/",
    "http://[64:ff9b::7f00:1]:{port}/",
    "http://１２７.０.０.１:{port}/",
    "http://receiver.example@127.0.0.1:{port}/",
    "http://127.0.0.1:{port}\\@receiver.example/",
    "http://10.0.0.1/",
    "http://192.168.0.1/",
    "http://169.254.169.254/latest/meta-data/",
    "http://[fd00:ec2::254]/",
    "https://1.1.1.1:25/",
    "file:///etc/passwd",
    "gopher://127.0.0.1:{port}/",
]


@pytest.fixture
def database_url(migrated_sqlite_file: Path, tmp_path: Path) -> str:
    """SQLite alone: these tests do not depend on the database."""
    return f"sqlite:///{shutil.copyfile(migrated_sqlite_file, tmp_path / 'imagefleet.db')}"


@pytest.fixture
def inside() -> Iterator[HttpReceiver]:
    """A server that must not be reached."""
    with receiving() as running:
        yield running


def sending(bench: Bench, poster: Poster) -> Harness:
    """The services, which really send."""
    return Harness.of(bench.with_ports(post=poster))


@pytest.mark.parametrize("url", INSIDE)
def test_no_spelling_of_an_internal_address_is_accepted(bench: Bench, inside: HttpReceiver, url: str) -> None:
    harness = sending(bench, Poster(Allowlist()))
    spelled = url.format(port=inside.url.rpartition(":")[2])
    with pytest.raises((InvalidRequest, WebhookRefused)):
        harness.services.webhooks.create("ann", Target(clean_url(spelled)))
    with pytest.raises((InvalidRequest, WebhookRefused)):
        harness.submit(webhook=Target(clean_url(spelled)))
    assert inside.received == []


def test_a_name_that_is_rebound_between_attempts_reaches_nothing(bench: Bench, inside: HttpReceiver) -> None:
    answers = [["203.0.113.7", "127.0.0.1"], ["127.0.0.1"], ["::1"], ["::ffff:127.0.0.1"]]
    port = inside.url.rpartition(":")[2]
    harness = sending(bench, Poster(Allowlist(), resolve=lambda host, port: answers.pop(0)))
    receiver = Receiver.create(harness, f"http://rebound.example:{port}/")
    harness.submit()
    for _ in range(4):
        make_due(harness)
        deliver(harness)
    assert answers == []
    [delivery] = receiver.deliveries()
    assert (delivery.status, delivery.attempts, delivery.response_status) == ("pending", 4, None)
    assert delivery.error == "rebound.example is not at a public address, so no request is sent to it."
    assert inside.received == []


def test_a_redirect_inside_is_not_followed(bench: Bench, inside: HttpReceiver) -> None:
    """The receiver is allowed only by its name: it stands for one on the internet."""
    with receiving() as outside:
        outside.answers["/hooks"] = 307
        outside.headers = {"Location": f"{inside.url}/admin"}
        allow = Allowlist(hosts=frozenset({"outside.example"}))
        harness = sending(bench, Poster(allow, resolve=lambda host, port: ["127.0.0.1"]))
        receiver = Receiver.create(harness, f"http://outside.example:{outside.url.rpartition(':')[2]}/hooks")
        harness.submit()
        deliver(harness)
        assert len(outside.received) == 1
    [delivery] = receiver.deliveries()
    assert (delivery.status, delivery.response_status) == ("pending", 307)
    assert "redirects" in (delivery.error or "")
    assert inside.received == []


def test_no_secret_is_logged(bench: Bench, inside: HttpReceiver, capfd: pytest.CaptureFixture[str]) -> None:
    harness = sending(bench, Poster(Allowlist(hosts=frozenset({"127.0.0.1"}))))
    receiver = Receiver.create(harness, f"{inside.url}/hooks?token=sesame")
    inside.answers["/hooks?token=sesame"] = 410
    rotated = harness.services.webhooks.rotate_secret("ann", receiver.endpoint.id)
    harness.submit()
    deliver(harness)
    assert not receiver.reload().enabled
    logged = "".join(capfd.readouterr())
    assert "A webhook was disabled" in logged
    for secret in (receiver.secret, rotated.secret, "sesame", inside.received[0].headers["webhook-signature"]):
        assert secret.removeprefix("whsec_") not in logged
