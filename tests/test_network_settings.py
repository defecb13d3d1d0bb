"""Settings of origins, proxies, certificates and the scanner."""

from __future__ import annotations

import pytest

from app.config import BadSetting, Settings
from app.network_settings import Origins

EXTENSION = "chrome-extension://" + "abcdefghijklmnop" * 2
ALLOWED = Origins.parse(f"https://img.example, http://[::1]:8080, {EXTENSION}")


@pytest.mark.parametrize("origin", ["https://img.example", "http://[::1]:8080", EXTENSION])
def test_a_listed_origin_is_allowed(origin: str) -> None:
    assert ALLOWED.allow(origin)


@pytest.mark.parametrize(
    "origin",
    [
        "",
        "null",
        "*",
        "https://img.example.evil.example",
        "https://evil-img.example",
        "https://img.example:8443",
        "http://img.example",
        "https://IMG.example",
        "https://img.example/",
        "https://img.example\n",
        "https://img.example, https://evil.example",
        "chrome-extension://" + "a" * 32,
        f"{EXTENSION}.evil.example",
    ],
)
def test_an_origin_similar_to_a_listed_one_is_not_allowed(origin: str) -> None:
    assert not ALLOWED.allow(origin)


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        (EXTENSION, True),
        (EXTENSION + "\n", False),
        (EXTENSION + "a", False),
        ("chrome-extension://" + "q" * 32, False),
        ("chrome-extension://" + "A" * 32, False),
        ("x" + EXTENSION, False),
        ("moz-extension://" + "a" * 32, False),
        ("https://img.example", False),
    ],
)
def test_by_default_only_extensions_are_allowed(origin: str, allowed: bool) -> None:
    assert Settings.from_env({}).allowed_origins.allow(origin) is allowed


def test_none_allows_no_origin() -> None:
    origins = Settings.from_env({"ALLOWED_ORIGINS": "none"}).allowed_origins
    assert not origins.allow(EXTENSION)
    assert not origins.allow("none")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ALLOWED_ORIGINS", "*"),
        ("ALLOWED_ORIGINS", ","),
        ("ALLOWED_ORIGINS", "null"),
        ("ALLOWED_ORIGINS", "https://*.example"),
        ("ALLOWED_ORIGINS", "https://img.example/"),
        ("ALLOWED_ORIGINS", "https://img.example:443"),
        ("ALLOWED_ORIGINS", "https://IMG.example"),
        ("ALLOWED_ORIGINS", "https://user@img.example"),
        ("ALLOWED_ORIGINS", "chrome-extension://abc"),
        ("ALLOWED_ORIGINS", "none,https://img.example"),
        ("TRUSTED_PROXIES", "proxy.example"),
        ("TRUSTED_PROXIES", "10.0.0.0/33"),
        ("CLAMAV_URL", "localhost:3310"),
        ("CLAMAV_URL", "tcp://scanner"),
        ("CLAMAV_URL", "unix://run/clamd"),
        ("TLS_KEY", ""),
    ],
)
def test_the_error_names_an_invalid_network_setting(name: str, value: str) -> None:
    env = {"TLS_CERT": "cert.pem"} if name == "TLS_KEY" else {}
    with pytest.raises(BadSetting, match=f"^{name}"):
        Settings.from_env({**env, name: value})


def test_the_error_names_a_key_without_its_certificate() -> None:
    with pytest.raises(BadSetting, match=r"^TLS_CERT is missing"):
        Settings.from_env({"TLS_KEY": "key.pem"})
