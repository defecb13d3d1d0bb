"""An external Redis: over TLS, and with sentinels that promote a new master when the old one fails."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis
from celery import Celery
from kombu.exceptions import OperationalError

from app.adapters.celery_app import make_celery
from app.adapters.redis_clients import redis_client
from app.config import Settings
from tests.support.certificates import self_signed
from tests.support.pictures import data_url, plain
from tests.support.redis import running_redis
from tests.support.redis_sentinel import MASTER, Sentinels, running_sentinels
from tests.support.service import Service, running_service
from tests.support.tls_relay import tls_relay

BURST = 50


@dataclass(frozen=True)
class Remote:
    """A Redis over TLS: its URL, without and with the CA file."""

    url: str
    trusted_url: str


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a path short enough for sockets."""
    with tempfile.TemporaryDirectory(prefix="imagefleet-redis-") as name:
        yield Path(name)


@pytest.fixture
def remote(folder: Path) -> Iterator[Remote]:
    certificate = self_signed(folder)
    with running_redis(folder) as server, tls_relay(server.socket, certificate) as port:
        url = f"rediss://127.0.0.1:{port}/0"
        yield Remote(url, f"{url}?ssl_ca_certs={certificate.file}")


def celery(url: str) -> Celery:
    return make_celery(Settings.from_env({"REDIS_URL": url}))


def connect(app: Celery) -> None:
    with app.connection_for_write() as connection:
        connection.ensure_connection(max_retries=1, interval_start=0, timeout=5)


def complete_a_request(service: Service, prompt: str, extension_id: str, web: int = 0) -> None:
    """Complete a request that is submitted to one web process and assigned to an extension at the other."""
    with service.extension(extension_id, web=1 - web) as extension:
        request_id = service.submit(prompt, web=web)
        extension.done(extension.next_job(60), data_url(plain()))
        extension.receive("image_generation_confirmed", timeout_s=60)
    assert service.final(request_id)["status"] == "completed"


def test_the_service_works_over_tls(remote: Remote, tmp_path: Path, migrated_sqlite_file: Path) -> None:
    database = tmp_path / "imagefleet.db"
    database.write_bytes(migrated_sqlite_file.read_bytes())
    with running_service(tmp_path, f"sqlite:///{database}", remote.trusted_url) as service:
        complete_a_request(service, "over TLS", "e1")
        assert service.get("/health").json["status"] == "healthy"


def test_an_untrusted_certificate_of_redis_is_refused(remote: Remote) -> None:
    with pytest.raises(redis.ConnectionError):
        redis_client(remote.url).ping()
    with pytest.raises(OperationalError):
        connect(celery(remote.url))


def test_the_certificate_check_can_be_switched_off(remote: Remote) -> None:
    url = f"{remote.url}?ssl_cert_reqs=none"
    assert redis_client(url).ping()
    connect(celery(url))


def remaining(service: Service, web: int) -> int:
    answer = service.post("/api/images/generate", {"prompt": "counted", "userId": "counted"}, web)
    assert answer.status == 200
    return int(answer.headers["x-ratelimit-remaining"])


@pytest.fixture
def sentinels(folder: Path) -> Iterator[Sentinels]:
    with running_sentinels(folder) as made:
        yield made


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_after_a_failover_the_new_master_is_used(
    sentinels: Sentinels, tmp_path: Path, migrated_sqlite_file: Path
) -> None:
    database = tmp_path / "imagefleet.db"
    database.write_bytes(migrated_sqlite_file.read_bytes())
    with running_service(
        tmp_path,
        f"sqlite:///{database}",
        sentinels.url,
        RATE_LIMIT_MAX_REQUESTS="1",
        RATE_LIMIT_WINDOW_MS="3600000",
        RATE_LIMIT_BURST=str(BURST),
    ) as service:
        complete_a_request(service, "before", "e1")
        sentinels.kill("one")
        sentinels.kill("sentinel-0")  # as if both were on one host
        complete_a_request(service, "after", "e2")
        complete_a_request(service, "after, at the other process", "e3", web=1)
        assert sentinels.execute("two", "ROLE")[0] == "master"
        assert sentinels.execute("sentinel-1", "SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER)
        assert [remaining(service, web) for web in (0, 1, 0)] == [BURST - 1, BURST - 2, BURST - 3]
