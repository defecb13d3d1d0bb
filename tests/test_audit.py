"""`make audit` queries known vulnerabilities of the pinned packages."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
PINS = "Leaky[extra]==1.0 ; python_version > '3' \\\n    --hash=sha256:00\ntight==2.0\n# a comment==3\n"


def audit(folder: Path, url: str) -> subprocess.CompletedProcess[str]:
    (folder / "requirements.txt").write_text(PINS)
    command = [sys.executable, str(ROOT / ".ci" / "audit.py"), str(folder / "requirements.txt")]
    env = {"ADVISORIES_URL": url, "NO_PROXY": "*"}
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=60, env=env)


@contextmanager
def advisories(answer: Any) -> Iterator[tuple[str, list[Any]]]:
    """A service that gives this answer: its URL, and the requests it received."""
    requests: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            requests.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/", requests
        server.shutdown()


def test_a_known_vulnerability_is_reported(tmp_path: Path) -> None:
    with advisories({"results": [{"vulns": [{"id": "GHSA-1"}, {"id": "CVE-2"}]}, {}]}) as (url, requests):
        done = audit(tmp_path, url)
    assert done.returncode == 1
    assert "leaky==1.0: GHSA-1, CVE-2\n1 of 2 pinned" in done.stdout
    assert [(each["package"]["name"], each["version"]) for each in requests[0]["queries"]] == [
        ("leaky", "1.0"),
        ("tight", "2.0"),
    ]


def test_without_known_vulnerabilities_the_audit_passes(tmp_path: Path) -> None:
    with advisories({"results": [{}, {}]}) as (url, _):
        done = audit(tmp_path, url)
    assert (done.returncode, done.stdout) == (0, "0 of 2 pinned packages have known holes.\n")


@pytest.mark.parametrize("answer", [{}, {"results": []}, [], None])
def test_an_invalid_answer_is_reported(tmp_path: Path, answer: Any) -> None:
    with advisories(answer) as (url, _):
        done = audit(tmp_path, url)
    assert done.returncode == 0
    assert done.stdout.startswith("NOT audited: ")


def test_an_unreachable_service_is_reported_and_nothing_fails(tmp_path: Path) -> None:
    done = audit(tmp_path, "http://127.0.0.1:1/")
    assert done.returncode == 0
    assert "2 pins stand unchecked" in done.stdout
