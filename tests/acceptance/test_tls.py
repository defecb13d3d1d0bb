"""https and wss end to end: behind a real nginx with the documented configuration, and with gunicorn alone."""

from __future__ import annotations

import json
import re
import shutil
import socket
import ssl
import subprocess
import tempfile
import urllib.request
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from getpass import getuser
from os import environ, getpid
from pathlib import Path
from typing import Any

import pytest
import websocket

from app.db.migrate import upgrade
from app.launch.parent_death import end_with_parent
from tests.support.certificates import Certificate, self_signed
from tests.support.missing import missing
from tests.support.pictures import data_url, plain
from tests.support.ports import free_port
from tests.support.service import ROOT, Service, running_service
from tests.support.waiting import until

NGINX_CONFIG = """
user {user};
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
{documented}
}}
"""


def nginx_program() -> str:
    """Find nginx, also where Debian installs it outside most PATHs."""
    program = shutil.which("nginx", path=f"{environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        missing("nginx is missing: apt-get install nginx-light")
    return program


def documented(port: int, upstream: int, certificate: Certificate) -> str:
    """The documented configuration with the ports, names and files of this test."""
    found = re.search(r"```nginx\n(.*?)```", (ROOT / "docs" / "security.md").read_text(), re.DOTALL)
    assert found is not None
    text = found[1]
    for example, actual in {
        "listen 443": f"listen 127.0.0.1:{port}",
        "127.0.0.1:3000": f"127.0.0.1:{upstream}",
        "images.example": "localhost",
        "/etc/imagefleet/fullchain.pem": str(certificate.file),
        "/etc/imagefleet/privkey.pem": str(certificate.key),
    }.items():
        assert example in text
        text = text.replace(example, actual)
    return text


@contextmanager
def nginx(folder: Path, service: Service, certificate: Certificate) -> Iterator[int]:
    """Run a real nginx in front of the service and yield its https port."""
    program, port = nginx_program(), free_port()
    config = folder / "nginx.conf"
    config.write_text(
        NGINX_CONFIG.format(user=getuser(), folder=folder, documented=documented(port, service.ports[0], certificate))
    )
    with (folder / "nginx.log").open("wb") as log:
        process = subprocess.Popen(
            [program, "-c", str(config), "-p", str(folder), "-e", "stderr"],
            stderr=log,
            preexec_fn=partial(end_with_parent, getpid()),  # noqa: PLW1509 - two system calls, and no lock
        )
    try:
        until(lambda: answers(port), 20, f"nginx to answer; its log: {(folder / 'nginx.log').read_text()}")
        yield port
    finally:
        process.terminate()
        process.wait(10)


def answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


class Client:
    """An https and wss client for `localhost` that trusts only this certificate."""

    def __init__(self, port: int, certificate: Certificate) -> None:
        self.base = f"https://localhost:{port}"
        self.trust = ssl.create_default_context(cafile=str(certificate.file))

    def call(self, path: str, body: object = None, method: str | None = None, **headers: str) -> Any:
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        sent = {"Content-Type": "application/json"} | {k.replace("_", "-"): v for k, v in headers.items()}
        url = path if path.startswith("https:") else self.base + path
        request = urllib.request.Request(url, data, sent, method=method)
        with urllib.request.urlopen(request, timeout=60, context=self.trust) as answer:
            self.headers = dict(answer.headers)
            return json.load(answer)

    def socket(self, url: str, **options: Any) -> websocket.WebSocket:
        return websocket.create_connection(url, timeout=30, sslopt={"context": self.trust}, **options)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return self_signed(tmp_path_factory.mktemp("certificate"))


@pytest.fixture(scope="module", params=["nginx", "gunicorn"])
def client(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    redis_url: str,
    certificate: Certificate,
) -> Iterator[Client]:
    """The whole service, once behind nginx and once without it."""
    if request.param == "nginx":
        nginx_program()
    folder = tmp_path_factory.mktemp("tls")
    database = f"sqlite:///{folder / 'imagefleet.db'}"
    upgrade(database)
    if request.param == "gunicorn":
        cert, key = str(certificate.file), str(certificate.key)
        with running_service(folder, database, redis_url, webs=1, TLS_CERT=cert, TLS_KEY=key) as service:
            yield Client(service.ports[0], certificate)
        return
    with (
        running_service(folder, database, redis_url, webs=1, TRUSTED_PROXIES="127.0.0.1") as service,
        tempfile.TemporaryDirectory(prefix="imagefleet-nginx-") as own,
        nginx(Path(own), service, certificate) as port,
    ):
        yield Client(port, certificate)


def receive(ws: websocket.WebSocket, kind: str) -> Any:
    while (message := json.loads(ws.recv()))["type"] != kind:
        pass
    return message


def test_a_request_results_in_a_picture_over_https_and_wss(client: Client) -> None:
    info = client.call("/api/websocket/info")
    assert info["url"] == client.base.replace("https", "wss") + "/ws"
    request_id = client.call("/api/images/generate", {"prompt": "a fox", "model": "sealed"})["requestId"]
    with closing(client.socket(info["url"])) as ws:
        authenticate = {"type": "authenticate", "extensionId": "sealed", "metadata": {"capabilities": ["sealed"]}}
        ws.send(json.dumps(authenticate))
        job = receive(ws, "generate_image")
        assert job["requestId"] == request_id
        upload = job["upload"]
        assert upload["url"].startswith(f"{client.base}/api/uploads/{request_id}?")
        receipt = client.call(upload["url"] + "&position=0", plain(), upload["method"], **upload["headers"])
        assert receipt["imageUrl"].startswith(client.base)
        ws.send(json.dumps({"type": "image_generated", "requestId": request_id, "imageUrl": receipt["imageUrl"]}))
        assert receive(ws, "image_generation_confirmed")["requestId"] == request_id
    assert client.call(f"/api/images/{request_id}")["status"] == "completed"


def test_a_large_message_is_delivered_whole(client: Client) -> None:
    parameters = {"filler": ["x" * 1000] * 100}
    request_id = client.call("/api/images/generate", {"prompt": "a fox", "model": "wide", "parameters": parameters})
    with closing(client.socket(client.base.replace("https", "wss") + "/ws")) as ws:
        authenticate = {"type": "authenticate", "extensionId": "wide", "metadata": {"capabilities": ["wide"]}}
        ws.send(json.dumps(authenticate))
        assert receive(ws, "generate_image")["parameters"] == parameters
        done = {
            "type": "image_generated",
            "requestId": request_id["requestId"],
            "imageUrl": data_url(plain(size=(300, 300))),
        }
        ws.send(json.dumps(done))
        receive(ws, "image_generation_confirmed")


def test_responses_have_strict_transport_security(client: Client) -> None:
    client.call("/health")
    assert client.headers["Strict-Transport-Security"].startswith("max-age=")


def test_forwarded_headers_of_a_client_are_ignored(client: Client) -> None:
    forged = {"X_Forwarded_Host": "evil.example", "X_Forwarded_Proto": "http", "X_Forwarded_Prefix": "/evil"}
    url = client.call("/api/websocket/info", **forged)["url"]
    assert url == client.base.replace("https", "wss") + "/ws"


def test_a_page_of_a_foreign_origin_cannot_open_a_socket(client: Client) -> None:
    with pytest.raises(websocket.WebSocketBadStatusException) as refused:
        client.socket(client.base.replace("https", "wss") + "/ws", origin="https://evil.example")
    assert refused.value.status_code == 403


def test_old_versions_of_tls_are_refused(client: Client) -> None:
    port = int(client.base.rpartition(":")[2])
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    with socket.create_connection(("127.0.0.1", port), 10) as raw, pytest.raises(OSError):  # noqa: PT011
        old.wrap_socket(raw, server_hostname="localhost")
