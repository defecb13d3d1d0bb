"""Headers for browsers (CORS, security headers), and the accepted host names."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from app import container, network_settings
from app.factory import create_app
from app.web import cors
from app.web.default_headers import HEADERS
from tests.support.fakes import Bench

EXTENSION = "chrome-extension://" + "abcdefghijklmnop" * 2
PREFLIGHT = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,content-type"}
EVIL = ["https://evil.example", "null", "*", EXTENSION + ".evil.example", "http://localhost", ""]


@pytest.mark.parametrize("path", ["/api/images/generate", "/api/uploads/x", "/health", "/nowhere"])
def test_the_preflight_of_an_allowed_page_is_accepted(client: FlaskClient, path: str) -> None:
    answer = client.options(path, headers={"Origin": EXTENSION, **PREFLIGHT})
    assert answer.status_code == 204
    assert answer.headers["Access-Control-Allow-Origin"] == EXTENSION
    assert "Access-Control-Allow-Credentials" not in answer.headers
    assert "Origin" in answer.headers["Vary"]


def test_pages_may_send_only_the_documented_headers_and_methods(client: FlaskClient) -> None:
    document = client.get("/openapi.json").json
    operations = [(method, op) for path in document["paths"].values() for method, op in path.items()]
    documented = {each["name"] for _, op in operations for each in op["parameters"] if each["in"] == "header"}
    headers = client.options("/health", headers={"Origin": EXTENSION, **PREFLIGHT}).headers
    openai = set(cors.OPENAI_HEADERS.split(", "))
    allowed = set(headers["Access-Control-Allow-Headers"].split(", "))
    assert allowed == documented | {"Authorization", "Content-Type", "X-Correlation-Id"} | openai
    assert set(headers["Access-Control-Allow-Methods"].split(", ")) == {
        "HEAD",
        *(name.upper() for name, _ in operations),
    }
    assert set(headers["Access-Control-Expose-Headers"].split(", ")) <= set(document["components"]["headers"])


@pytest.mark.parametrize("origin", EVIL)
def test_the_preflight_of_another_page_is_refused(client: FlaskClient, origin: str) -> None:
    answer = client.options("/api/images/generate", headers={"Origin": origin, **PREFLIGHT})
    assert (answer.status_code, answer.json["code"]) == (403, "ERR_FORBIDDEN")
    assert not [name for name in dict(answer.headers) if name.startswith("Access-Control-")]


@pytest.mark.parametrize("path", ["/health", "/nowhere", "/api/images/generate"])
def test_an_allowed_page_may_read_every_answer_and_its_headers(client: FlaskClient, path: str) -> None:
    answer = client.get(path, headers={"Origin": EXTENSION})
    assert answer.headers["Access-Control-Allow-Origin"] == EXTENSION
    exposed = answer.headers["Access-Control-Expose-Headers"]
    assert all(name in exposed for name in ("X-Correlation-Id", "X-RateLimit-Limit", "Retry-After", "ETag"))


@pytest.mark.parametrize("origin", EVIL)
def test_another_page_may_read_no_response(client: FlaskClient, origin: str) -> None:
    answer = client.get("/health", headers={"Origin": origin})
    assert not [name for name in dict(answer.headers) if name.startswith("Access-Control-")]
    assert "Origin" in answer.headers["Vary"]


@pytest.mark.parametrize("path", ["/health", "/docs", "/static/style.css", "/openapi.json", "/nowhere", "/", "/ws"])
def test_every_response_has_the_security_headers(client: FlaskClient, path: str) -> None:
    answer = client.get(path)
    assert not [name for name in HEADERS if name not in answer.headers]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
    assert "Strict-Transport-Security" not in answer.headers


def test_over_https_responses_have_strict_transport_security(client: FlaskClient) -> None:
    assert (
        client.get("/health", base_url="https://localhost").headers["Strict-Transport-Security"] == "max-age=31536000"
    )


@pytest.mark.parametrize(
    "host", ["a b", 'x"><b>', "img.example/evil", "user@localhost", "a,b", "localhost:port", "[::1", "..", "", "é"]
)
def test_an_invalid_host_is_refused(client: FlaskClient, host: str) -> None:
    answer = client.get("/api/websocket/info", headers={"Host": host})
    assert answer.status_code == 400
    assert host == "" or host not in answer.text


@pytest.mark.parametrize("host", ["localhost", "localhost:3000", "127.0.0.1", "[::1]:3000", "inside", "a.localhost"])
def test_a_server_on_the_loopback_address_accepts_only_local_names(client: FlaskClient, host: str) -> None:
    assert client.get("/health", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example:3000", "evil.example."]
)
def test_a_name_that_only_resolves_to_this_machine_is_refused(client: FlaskClient, host: str) -> None:
    answer = client.get("/health", headers={"Host": host})
    assert (answer.status_code, answer.json["code"]) == (421, "ERR_UNKNOWN_HOST")


PROXIES = network_settings.networks("10.0.0.1")


@pytest.mark.parametrize(
    "changes", [{"host": "0.0.0.0"}, {"public_url": "https://img.example"}, {"trusted_proxies": PROXIES}]
)
def test_a_server_reachable_from_elsewhere_accepts_other_names(bench: Bench, changes: dict[str, object]) -> None:
    services = container.build(bench.with_settings(**changes).ports)
    client = create_app(services.settings, services).test_client()
    assert client.get("/health", headers={"Host": "img.example"}).status_code == 200
