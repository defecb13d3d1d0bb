"""`make run` with a certificate: https and wss by gunicorn itself, with the reference extension and the client."""

from __future__ import annotations

import json
import os
import signal
import ssl
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.support.certificates import Certificate, self_signed
from tests.support.fake_programs import ROOT, Start
from tests.support.ports import free_ports
from tests.support.processes import StartedProcess
from tests.support.waiting import until

START_S = 60.0


@pytest.fixture
def services(services: Path) -> Path:
    """A folder with the files of a checkout that the launcher needs."""
    for name in ("Procfile", "celery_config.py", "gunicorn.conf.py", "wsgi.py"):
        (services / name).symlink_to(ROOT / name)
    return services


@pytest.fixture
def certificate(tmp_path: Path) -> Certificate:
    """A self-signed certificate for localhost and 127.0.0.1."""
    return self_signed(tmp_path)


def launch(start: Start, certificate: Certificate, **env: str) -> tuple[StartedProcess, str]:
    """A running service and its URL."""
    ports = free_ports(2)
    tls = {"TLS_CERT": str(certificate.file), "TLS_KEY": str(certificate.key)}
    run = start("-m", "app.launch", PORT=str(ports[0]), WS_PORT=str(ports[1]), **tls, **env)
    run.wait_for_output("Ctrl-C stops everything.", START_S)
    return run, f"https://127.0.0.1:{ports[0]}"


def imagefleet(folder: Path, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    """The command of the client, run in a folder of its own."""
    folder.mkdir(exist_ok=True)
    return subprocess.run(
        [sys.executable, "-m", "imagefleet", *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT / "client"), **env},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


def stop(run: StartedProcess) -> None:
    run.send(signal.SIGINT)
    assert run.wait_for_exit(START_S) == 0
    run.wait_until_all_ended()


def test_a_client_that_trusts_the_certificate_gets_a_picture_over_https(
    start: Start, certificate: Certificate, tmp_path: Path
) -> None:
    trust = {"SSL_CERT_FILE": str(certificate.file)}
    run, url = launch(start, certificate, **trust)
    assert f"{url}/api/images/generate" in run.output
    assert "wss://127.0.0.1:" in run.output
    trusted = ssl.create_default_context(cafile=str(certificate.file))
    with urllib.request.urlopen(f"{url}/health", timeout=10, context=trusted) as answer:
        health: Any = json.load(answer)
    assert answer.status == 200, health
    ended = imagefleet(tmp_path / "client", "generate", "a fox", "--wait", "--output", ".", "--server", url, **trust)
    assert ended.returncode == 0, f"{ended.stderr}\nThe service said:\n{run.output}"
    assert list((tmp_path / "client").glob("*.png")), ended.stdout
    stop(run)


def test_a_client_that_does_not_trust_it_gets_an_error_about_the_certificate(
    start: Start, certificate: Certificate, tmp_path: Path
) -> None:
    run, url = launch(start, certificate)
    refused = imagefleet(tmp_path / "client", "generate", "a fox", "--wait", "--server", url)
    assert refused.returncode != 0
    assert "certificate" in refused.stderr
    until(lambda: "certificate" in run.output.partition("Ctrl-C stops")[2], START_S, f"the extension; {run.output}")
    stop(run)
