"""`imagefleet doctor` against what is no server, another server, or one that says that something is wrong."""

from __future__ import annotations

import json
import re
import ssl
import threading
from collections.abc import Iterator, Mapping
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from time import time
from typing import Any

import pytest
from click.testing import CliRunner, Result
from werkzeug.serving import make_server

from imagefleet.cli import main
from imagefleet.defaults import VERSION
from tests.support.certificates import self_signed
from tests.support.ports import free_port
from tests.support.scripted_server import Reply, ScriptedServer, refusal

HEALTH = {"status": "healthy", "database": True, "redis": True, "storage": True, "version": VERSION}
ME: dict[str, Any] = {
    "userId": "ann",
    "role": "user",
    "scopes": ["read", "write"],
    "operator": False,
    "credentialRequired": True,
    "credential": {"kind": "key", "id": "k1"},
    "rate": {"limit": 20, "remaining": 20, "fullAt": "2024-01-14T12:00:00.000Z"},
    "quotas": [{"name": "QUOTA_WAITING", "limit": 5, "used": 0, "remaining": 5}],
}
FOR_OPERATORS = refusal(403, "ERR_FORBIDDEN", "Only operators may do this.")


def doctor(server: str, *words: str) -> Result:
    """Run the command without a test picture."""
    env = {"IMAGEFLEET_URL": None, "IMAGEFLEET_API_KEY": None, "NO_PROXY": "*"}
    return CliRunner().invoke(main, ["doctor", "--server", server, "--key", "k", "--no-picture", *words], env=env)


def line_of(result: Result, link: str) -> str:
    """What is said about the link."""
    return next(line for line in result.stdout.splitlines() if line[6:].startswith(f"{link}:"))


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    """A server whose parts work, for a user who is no operator."""
    with ScriptedServer() as server:
        server.on("GET", "/health", Reply(HEALTH))
        server.on("GET", "/api/me", Reply(ME))
        server.on("GET", "/api/diagnostics", FOR_OPERATORS)
        server.on("GET", "/api/websocket/info", Reply({"url": "ws://x/ws", "activeConnections": 2}))
        server.on("GET", "/api/queue", Reply({"slots": {"extensions": 1, "busy": 0, "total": 1}, "paused": []}))
        server.on("GET", "/api/webhooks", Reply({"webhooks": []}))
        yield server


def test_users_see_what_everybody_may_see_and_that_more_needs_an_operators_key(server: ScriptedServer) -> None:
    ended = doctor(server.url)
    assert ended.exit_code == 0, ended.stdout
    assert line_of(ended, "database") == "ok    database: the server reports that it works"
    assert line_of(ended, "extensions") == "ok    extensions: 2 connected; 0 of 1 slots are busy"
    assert line_of(ended, "webhooks").startswith("ok")
    for link in ("workers", "beat"):
        assert line_of(ended, link).startswith(f"-     {link}: not checked, an operator's key is needed")
    assert line_of(ended, "picture") == "-     picture: not checked, since --no-picture was given"


def test_programs_get_all_of_it_as_json(server: ScriptedServer) -> None:
    server.on("GET", "/api/me", refusal(401, "ERR_UNAUTHORIZED", "This API key is invalid."))
    report = json.loads(doctor(server.url, "--json").stdout)
    assert (report["ok"], report["exitCode"], report["version"]) == (False, 25, VERSION)
    assert [each["number"] for each in report["links"]] == list(range(1, 15))
    key = report["links"][4]
    assert (key["name"], key["code"], key["detail"]) == ("key", "ERR_UNAUTHORIZED", "This API key is invalid")
    assert "imagefleet login" in key["remedy"]
    lines = [json.loads(line) for line in doctor(server.url, "--jsonl").stdout.splitlines()]
    assert [(each["name"], each["ok"], each["checked"]) for each in lines] == [
        (each["name"], each["ok"], each["checked"]) for each in report["links"]
    ]


@pytest.mark.parametrize(
    ("path", "reply", "code", "said"),
    [
        ("/health", Reply({"hello": "world"}), 24, "is not an Imagefleet server"),
        ("/health", Reply(b"<html>", status=404), 24, "is not an Imagefleet server"),
        ("/health", Reply(status=308, headers={"Location": "https://other.example/health"}), 24, "leads to another"),
        ("/health", Reply(cut=True, status=0), 24, "broke before the response"),
        ("/health", Reply({**HEALTH, "version": "7.1.0"}), 24, f"the server is 7.1.0, this client is {VERSION}"),
        ("/health", Reply({**HEALTH, "database": False}, status=503), 27, "its database does not work"),
        ("/health", Reply({**HEALTH, "redis": False}), 28, "its redis does not work"),
        ("/health", Reply({**HEALTH, "storage": False}), 31, "its storage does not work"),
        ("/api/me", refusal(401, "ERR_UNAUTHORIZED", "This API key is invalid."), 25, "This API key is invalid."),
        ("/api/me", Reply({**ME, "scopes": ["read"]}), 25, "the key of ann (user) has not the scope write"),
        ("/api/me", Reply({**ME, "rate": {**ME["rate"], "remaining": 0}}), 26, "no request may be submitted"),
        ("/api/me", Reply({**ME, "quotas": [{**ME["quotas"][0], "remaining": 0}]}), 26, "used up: QUOTA_WAITING"),
        ("/api/websocket/info", Reply({"activeConnections": 0}), 32, "no extension is connected"),
        ("/api/queue", Reply({"paused": [{"scope": "all", "note": "moving"}]}), 32, "paused the queue: moving"),
        ("/api/queue", Reply({"slots": {"extensions": 0}}), 32, "2 connected, of which none takes work"),
        (
            "/api/webhooks",
            Reply({"webhooks": [{"webhookId": "w1", "enabled": False, "disabledReason": "It answered 410."}]}),
            33,
            "w1 is disabled (It answered 410)",
        ),
    ],
)
def test_the_first_broken_link_is_the_exit_code(
    server: ScriptedServer, path: str, reply: Reply, code: int, said: str
) -> None:
    server.on("GET", path, reply)
    ended = doctor(server.url)
    broken = [line for line in ended.stdout.splitlines() if line.startswith("FAIL")]
    assert (ended.exit_code, len(broken)) == (code, 1), ended.stdout
    assert said in broken[0]


@pytest.mark.parametrize(("apart_s", "direction"), [(-3_600, "behind"), (90, "ahead of")])
def test_a_clock_that_is_wrong_is_reported(apart_s: int, direction: str) -> None:
    class Skewed(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = json.dumps(HEALTH if self.path == "/health" else {}).encode()
            self.send_response(200 if self.path == "/health" else 404)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def date_time_string(self, timestamp: float | None = None) -> str:
            return formatdate(time() + apart_s, usegmt=True)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
            """Print nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Skewed) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        ended = doctor(f"http://127.0.0.1:{server.server_port}")
        server.shutdown()
    assert ended.exit_code == 23
    found = re.search(r"the server is ([0-9]+) s (ahead of|behind) this machine", line_of(ended, "clock"))
    assert found
    assert found[2] == direction
    assert int(found[1]) == pytest.approx(abs(apart_s), abs=20)


def test_what_a_key_may_do_is_not_known_while_the_database_is_away(server: ScriptedServer) -> None:
    server.on("GET", "/health", Reply({**HEALTH, "database": False}, status=503))
    ended = doctor(server.url)
    for link in ("key", "limits", "workers", "extensions", "webhooks"):
        assert line_of(ended, link).startswith(f"-     {link}: not checked, since it needs")


def test_an_older_server_without_a_diagnosis_is_examined_as_far_as_possible(server: ScriptedServer) -> None:
    missing = refusal(404, "ERR_NOT_FOUND", "Not found.")
    server.on("GET", "/health", Reply({name: value for name, value in HEALTH.items() if name != "version"}))
    server.on("GET", "/api/me", missing)
    server.on("GET", "/api/diagnostics", missing)
    ended = doctor(server.url)
    assert ended.exit_code == 0, ended.stdout
    assert line_of(ended, "key") == "-     key: not checked, the server is older than this client and does not tell"


def test_nothing_is_checked_behind_an_address_that_nobody_answers_at() -> None:
    for address, said in (
        (f"http://127.0.0.1:{free_port()}", "nothing listens at port"),
        ("http://nobody.invalid", "nobody.invalid"),
    ):
        ended = doctor(address)
        lines = ended.stdout.splitlines()
        assert ended.exit_code == 21
        assert lines[0].startswith("FAIL  address: ")
        assert said in lines[0]
        assert all(line.startswith("-     ") for line in lines[1:])


def test_text_of_the_server_cannot_control_the_terminal(server: ScriptedServer) -> None:
    server.on("GET", "/api/me", refusal(401, "ERR_UNAUTHORIZED", "\x1b[2JThis key\nis wrong."))
    assert "\x1b" not in doctor(server.url).stdout


def picture_of(server: ScriptedServer, **status: Any) -> dict[str, Any]:
    """What is said about a test picture whose status stays this one."""
    body = {"requestId": "r1", "version": 1, **status}
    server.on("POST", "/api/images/generate", Reply({"requestId": "r1", "status": "accepted"}))
    server.on("GET", "/api/images/r1/status", Reply(body))
    server.on("GET", "/api/images/r1", Reply(body))
    server.on("DELETE", "/api/images/r1", Reply({"requestId": "r1", "status": "cancelled"}))
    words = ["doctor", "--server", server.url, "--key", "k", "--timeout", "1s", "--json"]
    ended = CliRunner().invoke(main, words, env={"NO_PROXY": "*"})
    found: dict[str, Any] = json.loads(ended.stdout)["links"][-1]
    assert (ended.exit_code, found["name"]) == (34, "picture")
    return found


def test_a_picture_that_waits_in_the_queue_says_why_and_is_cancelled(server: ScriptedServer) -> None:
    queue = {"reason": "All extensions are busy.", "reasonCode": "BUSY", "remedy": "Connect another extension."}
    found = picture_of(server, status="accepted", queue=queue)
    assert found["detail"] == "after 1 s it still waited for an extension: All extensions are busy."
    assert (found["code"], found["remedy"]) == ("BUSY", "Connect another extension.")
    assert server.requests_to("DELETE", "/api/images/r1")


def test_a_picture_that_is_stored_and_cannot_be_downloaded_is_broken(server: ScriptedServer) -> None:
    server.on("GET", "/generated-images/a.png", refusal(410, "ERR_GONE", "It was removed."))
    found = picture_of(server, status="completed", images=[{"imagePath": "/generated-images/a.png"}])
    assert (found["code"], found["detail"]) == ("ERR_GONE", "it cannot be downloaded: It was removed.")


@pytest.fixture
def tls_server(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """The address without its scheme of a server with a certificate of its own, and that certificate."""
    certificate = self_signed(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.file, certificate.key)

    def answer(_environ: Mapping[str, Any], start: Any) -> list[bytes]:
        start("200 OK", [("Content-Type", "application/json")])
        return [json.dumps(HEALTH).encode()]

    listening = make_server("127.0.0.1", 0, answer, ssl_context=context, threaded=True)
    threading.Thread(target=listening.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{listening.port}", certificate.file
    listening.shutdown()
    listening.server_close()


def test_certificates_are_checked(tls_server: tuple[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    authority, certificate = tls_server
    refused = doctor(f"https://{authority}")
    assert refused.exit_code == 22
    assert "does not trust the server's certificate" in line_of(refused, "tls")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    accepted = line_of(doctor(f"https://{authority}"), "tls")
    assert accepted.startswith("ok    tls: TLSv1.3, its certificate is accepted, but expires in 2 days")


def test_the_wrong_scheme_is_noticed(tls_server: tuple[str, Path], server: ScriptedServer) -> None:
    plain = doctor(f"http://{tls_server[0]}")
    assert plain.exit_code == 22
    assert "expects TLS" in line_of(plain, "tls")
    secured = doctor(server.url.replace("http://", "https://"))
    assert secured.exit_code == 22
    assert "does not answer with TLS" in line_of(secured, "tls")
