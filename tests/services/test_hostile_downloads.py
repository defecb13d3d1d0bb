"""Hostile servers and pictures, handled by the real fetcher and the real validator."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

import pytest

from app.adapters.http import Fetcher
from app.adapters.pictures import PillowValidator
from app.db.jobs import Job
from app.domain.errors import DOWNLOAD_FAILED
from app.domain.states import Status
from app.network_settings import Allowlist
from app.services.download import Download
from tests.support.fakes import Bench
from tests.support.hostile_server import HostileServer
from tests.support.image_samples import REFUSED
from tests.support.job_factory import downloading_job, reload_job, update_job

LOCAL = Allowlist(networks=(ipaddress.ip_network("127.0.0.0/8"),))
HASTY_MS = 300
PATIENT_MS = 20_000  # where a picture is expected, however slow the machine is

FINAL = [
    "redirect-loop",
    "redirect-for-ever",
    "redirect-nowhere",
    "redirect?file:///etc/passwd",
    "redirect?http://169.254.169.254/latest/meta-data/",
    "redirect?http://[::ffff:10.0.0.1]/",
    "endless-body",
    "endless-chunked",
    "gzip",
    "double-gzip",
    "gzip-bomb",
    "negative-length",
    "double-length",
    "partial",
    "no-content",
    "empty",
    "not-http",
]
MAY_HEAL = [
    "drip-body",
    "drip-headers",
    "stall-before-headers",
    "short",
    "chunked-cut",
    "reset-in-body",
    "fail-always",
    "not-found-with-image",
]
ODD = ["length-and-chunked", "chunked-twice", "identity-transfer"]
PICTURES = [
    "a html page",
    "an svg",
    "a png without its last 20 bytes",
    "a png that claims 100,000 x 100,000",
    "a png of 400 megapixels in 50 kB",
    "a png that unpacks to 100 MB",
    "a jpeg cut in half",
    "a webp cut in half",
    "an animated webp",
    "a gif",
]


@pytest.fixture
def host() -> Iterator[HostileServer]:
    with HostileServer() as hostile:
        yield hostile


@pytest.fixture
def hostile(bench: Bench) -> Bench:
    """The real adapters with one attempt and short timeouts."""
    real = bench.with_ports(fetch=Fetcher(LOCAL), validator=PillowValidator())
    return real.with_settings(
        max_attempts=1, download_timeout_ms=HASTY_MS, max_download_attempts=1, max_image_bytes=200_000
    )


def run(bench: Bench, *urls: str) -> Job:
    job = downloading_job(bench, *urls)
    Download(bench.ports).run()
    return reload_job(bench.database, job)


@pytest.mark.parametrize("name", [*FINAL, *MAY_HEAL])
def test_a_hostile_server_fails_the_job_and_leaves_no_file(hostile: Bench, host: HostileServer, name: str) -> None:
    job = run(hostile, host.url("ok"), host.url(name))
    assert (job.status, job.error_code) == (Status.FAILED, DOWNLOAD_FAILED)
    assert job.error
    assert hostile.files() == []


@pytest.mark.parametrize("name", PICTURES)
def test_a_hostile_picture_fails_the_job_and_leaves_no_file(hostile: Bench, host: HostileServer, name: str) -> None:
    job = run(hostile, host.serve("/a.png", REFUSED[name](), "image/png"))
    assert (job.status, job.error_code) == (Status.FAILED, DOWNLOAD_FAILED)
    assert hostile.files() == []


@pytest.mark.parametrize("name", MAY_HEAL)
def test_a_temporary_failure_is_not_final_at_once(hostile: Bench, host: HostileServer, name: str) -> None:
    assert run(hostile.with_settings(max_download_attempts=2), host.url(name)).status is Status.DOWNLOADING
    assert hostile.files() == []


@pytest.mark.parametrize("name", FINAL)
def test_a_permanent_failure_is_fetched_only_once(hostile: Bench, host: HostileServer, name: str) -> None:
    assert run(hostile.with_settings(max_download_attempts=4), host.url(name)).status is Status.FAILED


def test_a_private_address_is_refused_and_named_in_the_error(hostile: Bench, host: HostileServer) -> None:
    guarded = hostile.with_ports(fetch=Fetcher(Allowlist()))
    job = run(guarded, host.url("ok"))
    assert job.error == "127.0.0.1 is not at a public address, so no request is sent to it."
    assert host.requests == []


@pytest.mark.parametrize("name", ODD)
def test_a_picture_with_odd_headers_completes_its_job(hostile: Bench, host: HostileServer, name: str) -> None:
    patient = hostile.with_settings(download_timeout_ms=PATIENT_MS)
    assert run(patient, host.url(name)).status is Status.COMPLETED


@pytest.mark.parametrize("name", ["fail-once", "not-found-once"])
def test_a_download_from_a_server_that_recovers_completes(hostile: Bench, host: HostileServer, name: str) -> None:
    patient = hostile.with_settings(max_download_attempts=2, download_timeout_ms=PATIENT_MS)
    job = run(patient, host.url(name))
    assert job.status is Status.DOWNLOADING
    update_job(hostile.database, job, due_at=0)
    Download(patient.ports).run()
    assert reload_job(hostile.database, job).status is Status.COMPLETED
