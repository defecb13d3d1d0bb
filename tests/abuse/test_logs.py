"""No secret is in a log or an error, and no client can inject a line into a log."""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import tempfile
import threading
import urllib.error
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import websocket

from tests.support.pictures import plain
from tests.support.ports import free_port
from tests.support.raw import answer_to, get
from tests.support.redis import running_redis
from tests.support.service import Service, running_service
from tests.support.waiting import until

CANARY = "canary4711"
LINE = '{"level": "error", "message": "forged4711"}'
FORGERY = f"x\n{LINE}\r\n{LINE}\x1b[2J\u2028{LINE}\x85{LINE}"


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory, migrated_sqlite_file: Path) -> Iterator[Service]:
    """A service whose secrets are known strings, with the most verbose log level."""
    folder = tmp_path_factory.mktemp("watched")
    database = shutil.copyfile(migrated_sqlite_file, folder / "imagefleet.db")
    secrets = {name: f"{CANARY}-{name}-".ljust(40, "x") for name in ("SECRET_KEY", "JWT_SECRET")}
    with tempfile.TemporaryDirectory(prefix="imagefleet-redis-") as own, running_redis(Path(own)) as redis:
        settings: dict[str, Any] = {
            "IMAGE_SOURCE_ALLOWLIST": "127.0.0.1",
            "LOG_LEVEL": "debug",
            "MAX_ATTEMPTS": "1",
            **secrets,
        }
        with running_service(folder, f"sqlite:///{database}", redis.url, webs=1, workers=1, **settings) as service:
            yield service


@contextmanager
def signed(content: bytes | None) -> Iterator[str]:
    """The URL of a file, with a signature in its query; without content the file does not exist."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if content else 404)
            self.send_header("Content-Length", str(len(content or b"")))
            self.end_headers()
            self.wfile.write(content or b"")

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/p.png?X-Amz-Signature={CANARY}&sig={CANARY}"
        server.shutdown()


def logs(service: Service) -> dict[str, str]:
    """The logs of all processes."""
    return {path.stem: path.read_text(errors="replace") for path in service.folder.glob("*.log")}


def check(service: Service) -> None:
    """Assert that the logs contain no secret, and that each line is a JSON object or starts like one of another program."""
    texts = logs(service)
    assert all(texts[name] for name in ("web0", "worker0"))
    for name, text in texts.items():
        assert CANARY not in text, f"{name}: {text[max(0, text.index(CANARY) - 500) :][:700]}"
        for line in text.split("\n"):
            if "forged4711" in line:
                assert json.loads(line)["message"] != "forged4711"
                assert "\x1b" not in line


def test_no_credential_of_a_client_is_logged_or_returned(watched: Service) -> None:
    headers = {"Authorization": f"Bearer {CANARY}", "Cookie": f"session={CANARY}", "X-API-Key": CANARY}
    lines = [f"{name}: {value}" for name, value in headers.items()]
    for target in ("/health", f"/nowhere?token={CANARY}", "/api/images", f"/api/uploads/x?signature={CANARY}"):
        answer = answer_to(watched.ports[0], get(target, *lines))
        assert CANARY.encode() not in answer
    basic = get(f"http://user:{CANARY}@localhost/health", "Authorization: Basic " + CANARY)
    assert CANARY.encode() not in answer_to(watched.ports[0], basic)
    for malformed in (f"Authorization : Bearer {CANARY}", f"Bad Name: {CANARY}", f"Cookie: a\0{CANARY}"):
        answer_to(watched.ports[0], get("/health", malformed))
    answer_to(watched.ports[0], f"GET /health?token={CANARY}\r\n\r\n".encode())
    check(watched)


PARTS = {
    "query": get(f"/api/images?cursor={CANARY}&{CANARY}=1"),
    "fragment": get(f"/health#{CANARY}"),
    "header": get("/api/images", f"X-Other: {CANARY}", f"{CANARY}: 1"),
    "user agent": get("/api/images", f"User-Agent: {CANARY}", f"Referer: http://x/?{CANARY}"),
    "host": get("/health", host=CANARY),
    "host, not a name": get("/health", host=f"{CANARY}/?"),
    "correlation id, not valid": get("/health", f"X-Correlation-Id: {CANARY} {CANARY}"),
    "method": get("/health").replace(b"GET", CANARY.upper().encode()),
    "version": get("/health").replace(b"HTTP/1.1", b"HTTP/1." + CANARY.encode()),
    "transfer encoding": get("/health", f"Transfer-Encoding: {CANARY}"),
    "length": get("/health", f"Content-Length: {CANARY}"),
    "expectation": get("/health", f"Expect: {CANARY}"),
    "content encoding": get("/api/images", f"Content-Encoding: {CANARY}").replace(b"GET", b"POST"),
    "range": get("/generated-images/x.png", f"Range: {CANARY}", f"If-Match: {CANARY}", f"If-None-Match: {CANARY}"),
    "socket": get("/ws", "Upgrade: websocket", f"Sec-WebSocket-Key: {CANARY}", f"Sec-WebSocket-Protocol: {CANARY}"),
    "chunk": get("/api/images/generate", "Transfer-Encoding: chunked").replace(b"GET", b"POST") + CANARY.encode(),
}


@pytest.mark.parametrize("part", PARTS)
def test_no_part_of_a_request_but_its_path_is_logged(watched: Service, part: str) -> None:
    answer_to(watched.ports[0], PARTS[part])
    check(watched)


@pytest.mark.parametrize(
    "body",
    [
        {"prompt": f"a fox {CANARY}", "model": "unserved"},
        {"prompt": "a fox", "model": "unserved", "parameters": {"secret": CANARY, CANARY: 1}},
        {"prompt": "a fox", CANARY: 1},
        {"prompt": "a fox", "userId": f"{CANARY} no"},
        CANARY.encode(),
        b'{"prompt": "' + CANARY.encode(),
        b'{"prompt": "' + CANARY.encode() * 1_000_000 + b'"}',
    ],
    ids=["prompt", "parameters", "unknown field", "user", "no JSON", "half JSON", "too large"],
)
def test_no_body_is_logged(watched: Service, body: object) -> None:
    with contextlib.suppress(OSError):  # a body that is too large is not read to its end
        watched.post("/api/images/generate", body)
    check(watched)


@pytest.mark.parametrize("content", [plain(), b"no picture", None])
def test_no_signature_of_a_pictures_address_is_logged(watched: Service, content: bytes | None) -> None:
    model = f"signed-{len(content or b'')}"  # and an extension that does not rest after another test's failure
    request_id = watched.submit(model=model)
    with signed(content) as url, watched.extension(model, model) as extension:
        extension.done(extension.next_job(), url)
        result = watched.final(request_id)
    assert CANARY not in result.get("error", "")
    check(watched)


def test_nothing_that_an_extension_writes_is_logged_but_its_name_and_version(watched: Service) -> None:
    written = {"error": f"Rejected: {CANARY}", "reason": CANARY, "code": CANARY}
    request_id = watched.submit(model="talkative")
    with watched.extension("talkative", "talkative") as extension:
        job = extension.next_job()
        extension.progress(job, 5, CANARY)
        repeated = f'{{"type": "heartbeat", "extensionId": "talkative", "{CANARY}": 1, "{CANARY}": 2}}'
        for message in ({"type": CANARY}, {"type": "heartbeat", CANARY: CANARY}, CANARY, repeated):
            extension.send(message)
            extension.receive("error")
        extension.failed(job, **written)
        assert CANARY in watched.final(request_id)["error"]
    request_id = watched.submit(model="painter")
    with watched.extension("painter", "painter") as extension:
        job = extension.next_job()
        extension.done(job, extension.upload(job, plain())["imageUrl"], metadata={"prompt": CANARY, CANARY: 1})
        assert watched.final(request_id)["status"] == "completed"
    check(watched)


def test_no_signature_of_an_upload_is_logged(watched: Service) -> None:
    request_id = watched.submit(model="handed")
    with watched.extension("handed", "handed") as extension:
        job = extension.next_job()
        signature = urllib.parse.parse_qs(urllib.parse.urlsplit(job["upload"]["url"]).query)["signature"][0]
        extension.done(job, extension.upload(job, plain())["imageUrl"])
        assert watched.final(request_id)["status"] == "completed"
        with pytest.raises(urllib.error.HTTPError) as refused:
            extension.upload(job, plain(), 1)
        with refused.value:
            assert signature not in refused.value.read().decode()
    texts = logs(watched)
    assert request_id in texts["web0"]
    assert not [name for name, text in texts.items() if signature in text or job["lease"] in text]


def test_no_token_sent_over_a_socket_is_logged_or_returned(watched: Service) -> None:
    url = f"ws://127.0.0.1:{watched.ports[0]}/ws"
    bearer, offered = {"Authorization": f"Bearer {CANARY}"}, ["imagefleet", f"token.{CANARY}"]
    ws = websocket.create_connection(url, timeout=20, header=bearer, subprotocols=offered)
    for token in (CANARY, [CANARY], "x" * 20_000 + CANARY):
        ws.send(json.dumps({"type": "authenticate", "extensionId": "shown", "token": token}))
    ws.send(f'{{"type": "authenticate", "token": "{CANARY}"')
    received = ""
    with contextlib.suppress(websocket.WebSocketException, OSError):
        while text := ws.recv():  # until it is disconnected: it has not authenticated
            received += str(text)
    ws.close()
    assert CANARY not in received
    check(watched)


def test_no_client_can_inject_a_line_into_the_log(watched: Service) -> None:
    for path in ("/" + urllib.parse.quote(FORGERY), "/api/images/" + urllib.parse.quote(FORGERY)):
        assert watched.get(path).status in {400, 404}
    answer_to(watched.ports[0], get("/health", "X-Correlation-Id: " + LINE, "User-Agent: " + LINE))
    answer_to(watched.ports[0], b"GET /" + LINE.encode() + b"\r\n" + LINE.encode() + b"\r\n\r\n")
    for body in ({"prompt": FORGERY}, {"prompt": "x", "userId": FORGERY}, {"prompt": "x", FORGERY: 1}):
        watched.post("/api/images/generate", {**body, "model": "forged"})
    watched.submit(f"x\n{LINE}\r\n{LINE}\u2028{LINE}", model="forged")
    with watched.extension("forger", "forged") as extension:
        job = extension.next_job()
        extension.progress(job, 5, FORGERY)
        extension.send({"type": FORGERY})
        extension.send({"type": "heartbeat", "extensionId": FORGERY})
        extension.send({"type": "image_generated", "requestId": job["requestId"], "imageUrl": "http://" + FORGERY})
        extension.failed(job, FORGERY, correlationId=FORGERY)
        until(lambda: "image_generation_failed" in watched.log("web0"), 20, "the report to be heard")
    check(watched)


def test_no_password_of_an_unreachable_server_is_logged(tmp_path: Path) -> None:
    port = free_port()
    servers = {
        "DATABASE_URL": f"postgresql://user:{CANARY}@127.0.0.1:1/x",
        "REDIS_URL": f"redis://user:{CANARY}@127.0.0.1:1/0",
        "IMAGE_STORAGE_PATH": str(tmp_path / "pictures"),
        "WS_PORT": "",
        "LOG_LEVEL": "debug",
        "AUTO_MIGRATE": "off",
    }
    service = Service(tmp_path, [port], servers)
    for name in ("web0", "worker0", "beat"):
        service.start(name)
    try:
        for name, complaint in {"web0": "Retrying", "worker0": "Retrying", "beat": "Connection error"}.items():
            until(lambda: complaint in service.log(name), 60, f"{name} to complain")  # noqa: B023 - called at once
    finally:
        for name in list(service.processes):
            service.stop(
                name, signal.SIGKILL
            )  # a web process that waits for its database needs its grace period to stop
    check(service)
