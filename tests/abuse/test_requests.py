"""Malicious requests as raw bytes against a real gunicorn: path traversal, header injection, forged host names."""

from __future__ import annotations

import json

import pytest

from tests.support.pictures import plain
from tests.support.raw import answer_to, get
from tests.support.service import Service

TRAVERSALS = [
    "/generated-images/../../../../etc/passwd",
    "/generated-images/..%2f..%2f..%2fetc%2fpasswd",
    "/generated-images/%2e%2e/%2e%2e/etc/passwd",
    "/generated-images/..%5c..%5cetc%5cpasswd",
    "/generated-images/%252e%252e%252fetc%252fpasswd",
    "/generated-images/..%c0%af..%c0%afetc/passwd",
    "/generated-images//etc/passwd",
    "/generated-images/%00",
    "/generated-images/550e8400-e29b-41d4-a716-446655440000_1.png%00.txt",
    "/generated-images/.staging/",
    "/generated-images/.staging%2fx.upload",
    "/docs/../../../etc/passwd",
    "/docs/..%2f..%2fapp%2fconfig.py",
    "/static/../pages.py",
    "/static/..%2fpages.py",
    "/static/vendor/%2e%2e/%2e%2e/pages.py",
    "//etc/passwd",
    "/%2e%2e/%2e%2e/etc/passwd",
    "/api/images/..%2f..%2f..%2fetc%2fpasswd",
    "/api/images/%2e%2e%2fgenerate",
    "file:///etc/passwd",
]


@pytest.mark.parametrize("target", TRAVERSALS)
def test_no_path_leads_outside_of_the_served_folders(service: Service, target: str) -> None:
    answer = answer_to(service.ports[0], get(target))
    status = int(answer.split(b" ")[1])
    assert 400 <= status < 500
    assert b"root:" not in answer
    assert b"import" not in answer


SPLITTING = [
    get("/health%0d%0aSet-Cookie:%20forged=1"),
    get("/nowhere?%0d%0aSet-Cookie:%20forged=1"),
    get("/health", "X-Correlation-Id: abcdefgh%0d%0aSet-Cookie: forged=1"),
    get("/health", "X-Correlation-Id: abcdefgh\rSet-Cookie: forged=1"),
    get("/health", "X-Correlation-Id: abcdefgh\n Set-Cookie: forged=1"),
    get("/health", "X-Correlation-Id: abcdefgh\0Set-Cookie: forged=1"),
    get("/health", "Origin: https://a\rSet-Cookie: forged=1"),
    get("/\rSet-Cookie:forged=1"),
    get("/", host="localhost\rSet-Cookie: forged=1"),
    get("/", host="localhost/\r\n\tSet-Cookie: forged=1"),
    get("/health", "Bad Name: x"),
    get("/health", "X-Empty : x"),
    get("/health", "Transfer-Encoding: chunked", "Content-Length: 4"),
    get("/health", "Content-Length: 4", "Content-Length: 5"),
    get("/health", "Content-Length: -1"),
    get("/health", "Content-Length: 1e3"),
    get("/health", "Transfer-Encoding: xchunked"),
]


@pytest.mark.parametrize("request_", SPLITTING)
def test_no_response_contains_a_header_injected_by_the_client(service: Service, request_: bytes) -> None:
    answer = answer_to(service.ports[0], request_)
    head = answer.partition(b"\r\n\r\n")[0].lower()
    assert answer.count(b"HTTP/1.1 ") <= 1
    assert b"\nset-cookie" not in head
    assert b"forged=1\r\n" not in head + b"\r\n"


def status_and_url(answer: bytes) -> tuple[int, str]:
    """The status of the response, and the address of the socket in it, if any."""
    status = int(answer.split(b" ")[1])
    return status, str(json.loads(answer.partition(b"\r\n\r\n")[2])["url"]) if status == 200 else ""


@pytest.mark.parametrize(
    "headers",
    [
        ("Host: evil.example",),
        ("Host: localhost@evil.example",),
        ("Host: localhost:3000/evil.example",),
        ("Host: evil.example#localhost",),
        ("Host: localhost", "Host: evil.example"),
        ("Host: evil.example", "Host: localhost"),
        ("Host: localhost, evil.example",),
        ("Host:",),
        ("Host: [evil]",),
        ("Host: localhost", "X-Forwarded-Host: evil.example"),
        ("Host: localhost", "X-Forwarded-Server: evil.example"),
        ("Host: localhost", "Forwarded: host=evil.example;proto=https"),
        ("Host: localhost", "X-Host: evil.example", "X-Original-URL: http://evil.example/"),
        ("Host: localhost", "X_Forwarded_Host: evil.example", "SCRIPT_NAME: /evil.example"),
        ("Host: localhost", "X-Forwarded-Proto: https", "X-Forwarded-Ssl: on", "X-Forwarded-Protocol: ssl"),
    ],
)
def test_a_foreign_host_name_appears_in_no_url(service: Service, headers: tuple[str, ...]) -> None:
    status, url = status_and_url(answer_to(service.ports[0], get("/api/websocket/info", *headers, host="")))
    assert "evil" not in url
    assert not url.startswith("wss")
    assert status in {200, 400, 421}


def test_an_absolute_request_target_does_not_change_the_host_name(service: Service) -> None:
    _, url = status_and_url(answer_to(service.ports[0], get("http://evil.example/api/websocket/info")))
    assert "evil" not in url


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "PUT", "DEBUG", "get", "X" * 100])
def test_an_unsupported_method_is_not_echoed(service: Service, method: str) -> None:
    request = get("/health", "Authorization: Bearer canary-4711").replace(b"GET", method.encode(), 1)
    answer = answer_to(service.ports[0], request)
    assert int(answer.split(b" ")[1]) in {400, 404, 405, 501}
    assert b"canary" not in answer


def test_the_method_cannot_be_overridden_by_a_header(service: Service) -> None:
    request_id = service.submit(model="overridden")
    answer = service.get(f"/api/images/{request_id}", X_HTTP_Method_Override="DELETE", X_Method_Override="DELETE")
    assert answer.status == 200
    assert service.status(request_id)["status"] == "accepted"
    service.delete(f"/api/images/{request_id}")


def test_an_upload_grant_is_valid_for_one_position_whatever_is_added_to_it(service: Service) -> None:
    request_id = service.submit(model="replayed")
    other_id = service.submit(model="unrelated")
    with service.extension("replayer", "replayed") as extension:
        job = extension.next_job()
        granted = job["upload"]["url"].removeprefix(service.url())
        path, query = granted.split("?")
        forged = [
            f"/api/uploads/{other_id}?{query}&position=0",
            f"{path}?attempt=2&{query}&position=0",
            f"{path}?{query.replace('expires=', 'expires=9')}&position=0",
            f"{path}?{query[:-1]}&position=0",
            f"{path}?{query}x&position=0",
            f"{path}?{query}&position=-1",
            f"{path}?{query}&position=10",
            f"{path}?{query}&position=1e0",
            f"{path}/../{other_id}?{query}&position=0",
            f"{path}%2f..%2f..%2fx?{query}&position=0",
        ]
        for target in forged:
            request = get(target).replace(b"GET", b"PUT", 1).replace(b"\r\n\r\n", b"\r\nContent-Length: 1\r\n\r\nx")
            assert int(answer_to(service.ports[0], request).split(b" ")[1]) in {400, 403, 404}, target
        extension.upload(job, plain())
        service.delete(f"/api/images/{request_id}")
    replayed = get(f"{granted}&position=1").replace(b"GET", b"PUT", 1)
    answer = answer_to(service.ports[0], replayed.replace(b"\r\n\r\n", b"\r\nContent-Length: 1\r\n\r\nx"))
    assert int(answer.split(b" ")[1]) == 403
    service.delete(f"/api/images/{other_id}")
