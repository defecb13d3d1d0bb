from __future__ import annotations

import pytest

from app.config import BadSetting, Settings


def test_the_contracts_defaults_hold() -> None:
    settings = Settings.from_env({})
    assert (settings.port, settings.ws_port, settings.ws_path) == (3000, 3001, "/ws")
    assert (settings.max_image_bytes, settings.request_timeout_ms, settings.download_timeout_ms) == (
        10_485_760,
        300_000,
        60_000,
    )


def test_port_alone_serves_both() -> None:
    assert Settings.from_env({"PORT": "8080"}).ws_port is None
    assert Settings.from_env({"PORT": "8080", "WS_PORT": "8081"}).socket_port == 8081


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "http"),
        ("PORT", "70000"),
        ("DATABASE_URL", "mysql://x/y"),
        ("REDIS_URL", "localhost"),
        ("IMAGE_SOURCE_ALLOWLIST", "a host"),
        ("SECRET_KEY", "short"),
        ("JWT_SECRET", "x" * 31),
        ("JWKS_URL", "http://id.example/keys"),
        ("JWKS_URL", "file:///etc/passwd"),
        ("AUTH_MODE", "off"),
        ("TOKEN_LIFETIME_MS", "0"),
        ("LOG_LEVEL", "loud"),
        ("SERVE", "cdn"),
        ("URL_SIGNING", "on"),
        ("PREVIEWS", "off"),
        ("SIGNED_URL_LIFETIME_MS", "0"),
        ("CDN_BASE_URL", "cdn.example"),
        ("CDN_BASE_URL", "https://"),
        ("CDN_BASE_URL", "https://cdn.example/a?b"),
        ("CDN_BASE_URL", "https://cdn.example/a b"),
        ("CDN_BASE_URL", "http://127.0.0.1:3000/generated-images/"),
    ],
)
def test_the_error_names_an_invalid_setting(name: str, value: str) -> None:
    with pytest.raises(BadSetting, match=f"^{name}"):
        Settings.from_env({name: value})


@pytest.mark.parametrize(
    ("env", "required"),
    [
        ({}, False),
        ({"HOST": "127.0.0.1"}, False),
        ({"HOST": "::1"}, False),
        ({"HOST": "localhost"}, False),
        ({"HOST": "0.0.0.0"}, True),
        ({"HOST": "::"}, True),
        ({"HOST": "10.0.0.1"}, True),
        ({"HOST": "127.0.0.1.example"}, True),
        ({"PUBLIC_URL": "http://localhost:3000"}, False),
        ({"PUBLIC_URL": "https://images.example"}, True),
        ({"HOST": "0.0.0.0", "AUTH_MODE": "open"}, False),
        ({"AUTH_MODE": "required"}, True),
    ],
)
def test_access_is_open_only_if_only_this_machine_can_connect_or_if_configured(
    env: dict[str, str], required: bool
) -> None:
    settings = Settings.from_env(env)
    assert settings.auth_required is required
    assert settings.open_to_all is ("AUTH_MODE" in env and not required)


@pytest.mark.parametrize("cdn", ["https://images.example/generated-images", "http://IMAGES.example/generated-images//"])
def test_a_cdn_that_is_the_service_itself_is_refused(cdn: str) -> None:
    with pytest.raises(BadSetting, match=r"^CDN_BASE_URL.*redirect there again"):
        Settings.from_env({"PUBLIC_URL": "https://images.example", "CDN_BASE_URL": cdn})


@pytest.mark.parametrize(
    "cdn",
    [
        "https://cdn.example/generated-images",
        "https://images.example/cdn",
        "https://images.example:8443/generated-images",
    ],
)
def test_a_cdn_may_be_anywhere_else(cdn: str) -> None:
    assert Settings.from_env({"PUBLIC_URL": "https://images.example", "CDN_BASE_URL": cdn + "/"}).cdn_base_url == cdn
