from __future__ import annotations

import dataclasses

import pytest
from flask.testing import FlaskClient
from structlog.testing import capture_logs

from app import container
from app.container import Services
from app.db.fleet import Socket
from app.domain.messages import Authenticate
from app.factory import create_app
from app.services import health
from app.services.health import ComponentHealth
from tests.support.fakes import Bench


def test_health_has_the_fields_of_the_contract(client: FlaskClient) -> None:
    answer = client.get("/health")
    health = answer.json
    assert answer.status_code == 200
    assert health["status"] == "healthy"
    assert health["environment"] == "production"
    assert isinstance(health["uptime"], int)
    assert health["memory"]["rss"] > health["memory"]["heapUsed"] > 0
    assert health["memory"]["heapTotal"] > 0


def test_the_socket_info_counts_connected_extensions(client: FlaskClient, services: Services) -> None:
    assert client.get("/api/websocket/info").json["activeConnections"] == 0
    services.extensions.hub_heartbeat("hub-1")
    for name in ("a", "b"):
        services.extensions.connected(Authenticate(extension_id=name), Socket("hub-1", f"connection-{name}"))
    services.extensions.connected(Authenticate(extension_id="c"), Socket("hub-unknown", "connection-c"))
    info = client.get("/api/websocket/info").json
    assert info["activeConnections"] == 2
    assert info["protocol"] == "websocket"


@pytest.mark.parametrize(
    ("base", "settings", "expected"),
    [
        ("http://localhost:3000", {"port": 3000, "ws_port": 3001}, "ws://localhost:3001/ws"),
        ("http://localhost:5000", {"port": 5000, "ws_port": None}, "ws://localhost:5000/ws"),
        ("http://[::1]:3000", {"port": 3000, "ws_port": 3001}, "ws://[::1]:3001/ws"),
        ("http://inside:3000", {"ws_port": 3001, "public_url": "https://img.example"}, "wss://img.example/ws"),
        (
            "http://inside:3000",
            {"ws_path": "/hub", "public_url": "http://img.example:80/a"},
            "ws://img.example:80/a/hub",
        ),
    ],
)
def test_the_socket_info_contains_the_address_that_the_client_used(
    bench: Bench, base: str, settings: dict[str, object], expected: str
) -> None:
    services = container.build(bench.with_settings(**settings).ports)
    client = create_app(services.settings, services).test_client()
    assert client.get("/api/websocket/info", base_url=base).json["url"] == expected


def test_the_environment_is_the_configured_one(bench: Bench) -> None:
    ports = dataclasses.replace(bench.ports, settings=dataclasses.replace(bench.ports.settings, environment="staging"))
    client = create_app(services=container.build(ports)).test_client()
    assert client.get("/health").json["environment"] == "staging"


def test_health_is_not_logged_at_info(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    with capture_logs() as lines:
        client.get("/health")
        monkeypatch.setattr(health.Health, "check", lambda _: ComponentHealth(database=False, redis=True, storage=True))
        assert client.get("/health").status_code == 503
        client.get("/nowhere")
    assert [line["path"] for line in lines if line["log_level"] != "debug"] == ["/nowhere"]
