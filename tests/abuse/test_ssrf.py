"""Picture URLs with internal addresses: whole downloads, and an internal server that must not receive a connection.

The parts are tested in tests/adapters/test_addresses.py, test_reach.py, test_redirects.py, test_urls.py.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from app.adapters.http import Fetcher
from app.domain.errors import DOWNLOAD_FAILED
from app.domain.states import Status
from app.network_settings import Allowlist
from tests.support.downloads import make_due, run
from tests.support.fakes import Bench
from tests.support.hostile_server import HostileServer
from tests.support.job_factory import downloading_job


class Inside:
    """A server on this machine that counts its connections."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("", 0))
        self.port = self.listener.getsockname()[1]
        self.visitors = 0
        threading.Thread(target=self._count, daemon=True).start()

    def _count(self) -> None:
        while True:
            try:
                visitor, _ = self.listener.accept()
            except OSError:
                return
            self.visitors += 1
            visitor.close()


@pytest.fixture
def inside() -> Iterator[Inside]:
    server = Inside()
    yield server
    server.listener.shutdown(socket.SHUT_RDWR)
    server.listener.close()


@pytest.fixture
def database_url(fresh_sqlite: str) -> str:
    """SQLite alone: these tests do not depend on the database."""
    return fresh_sqlite


@pytest.fixture
def bench(bench: Bench) -> Bench:
    """Each request has one attempt, so its failure is final."""
    return bench.with_settings(max_attempts=1)


SPELLINGS = [
    "http://127.0.0.1:{port}/",
    "http://localhost:{port}/",
    "http://LOCALHOST.:{port}/",
    "http://127.1:{port}/",
    "http://2130706433:{port}/",
    "http://0x7f000001:{port}/",
    "http://0x7f.0.0.1:{port}/",
    "http://0177.0.0.1:{port}/",
    "http://127.0.0.1.:{port}/",
    "http://0:{port}/",
    "http://0.0.0.0:{port}/",
    "http://[::1]:{port}/",
    "http://[::]:{port}/",
    "http://[::ffff:127.0.0.1]:{port}/",
    "http://[::ffff:7f00:1]:{port}/",
    "http://[::127.0.0.1]:{port}/",
    "http://[64:ff9b::7f00:1]:{port}/",
    "http://[2002:7f00:1::]:{port}/",
    "http://[fe80::1%25lo]:{port}/",
    "http://１２７.０.０.１:{port}/",
    "http://127。0。0。1:{port}/",
    "http://①②⑦.0.0.1:{port}/",
    "http://images.example@127.0.0.1:{port}/",
    "http://images.example:80@127.0.0.1:{port}/",
    "http://127.0.0.1:{port}#@images.example/",
    "http://127.0.0.1:{port}\\@images.example/",
    "http://%31%32%37.0.0.1:{port}/",
    "http://10.0.0.1/",
    "http://172.16.0.1/",
    "http://192.168.0.1/",
    "http://100.64.0.1/",
    "http://169.254.169.254/latest/meta-data/",
    "http://[fd00:ec2::254]/",
    "http://198.18.0.1/",
    "http://224.0.0.1/",
    "http://255.255.255.255/",
    "file:///etc/passwd",
    "gopher://127.0.0.1:{port}/",
    "ftp://127.0.0.1:{port}/",
    "unix:///run/redis.sock",
]


@pytest.mark.parametrize("url", SPELLINGS)
def test_no_spelling_of_an_internal_address_is_fetched(bench: Bench, inside: Inside, url: str) -> None:
    bench = bench.with_ports(fetch=Fetcher(Allowlist()))
    job = run(bench, downloading_job(bench, url.format(port=inside.port)))
    assert (job.status, job.error_code, job.download_attempt) == (Status.FAILED, DOWNLOAD_FAILED, 1)
    assert inside.visitors == 0
    assert bench.files() == []


@pytest.fixture
def outside() -> Iterator[HostileServer]:
    with HostileServer() as host:
        yield host


@pytest.mark.parametrize("code", ["redirect"])
def test_no_redirect_to_an_internal_address_is_followed(
    bench: Bench, inside: Inside, outside: HostileServer, code: str
) -> None:
    """`outside` is allowed only by its name: it stands for a host on the internet."""
    fetcher = Fetcher(Allowlist(hosts=frozenset({"outside.example"})), resolve=lambda host, port: ["127.0.0.1"])
    bench = bench.with_ports(fetch=fetcher)
    target = f"http://inside.example:{inside.port}/"
    url = f"http://outside.example:{outside.port}/{code}?{target}"
    job = run(bench, downloading_job(bench, url))
    assert job.status is Status.FAILED
    assert inside.visitors == 0


def test_dns_rebinding_between_attempts_has_no_effect(bench: Bench, inside: Inside) -> None:
    answers = [["203.0.113.7", "127.0.0.1"], ["127.0.0.1"], ["::1"], ["::ffff:127.0.0.1"]]
    bench = bench.with_ports(fetch=Fetcher(Allowlist(), resolve=lambda host, port: answers.pop(0)))
    for _ in range(len(answers)):
        job = downloading_job(bench, f"http://rebound.example:{inside.port}/")
        make_due(bench, job)
        assert run(bench, job).status is Status.FAILED
    assert answers == []
    assert inside.visitors == 0
