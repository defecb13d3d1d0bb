"""Reads and checks variables of the environment; the error for a bad value names its variable."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from app import network_settings
from app.network_settings import Allowlist, IPNetwork, Origins, TlsFiles
from app.sentinels import Sentinels

T = TypeVar("T")

# http only on this machine: an attacker who can change the response can sign any token
JWKS = (
    r"https://[^\s]+|http://(localhost|127\.[0-9.]+|\[::1\])(:[0-9]+)?/[^\s]*",
    "an address that begins with https://",
)
CLAMAV = (r"unix:///.+|tcp://(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+):[0-9]{1,5}", "tcp://host:port or unix:///path")


class BadSetting(Exception):
    """A variable holds a value that cannot be used; the text names it and what is allowed."""


class Environment:
    """Reads one variable at a time; an empty value counts as absent. A bad value raises BadSetting."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self.env = env

    def given(self, name: str) -> bool:
        """True where it has a value."""
        return bool(self.env.get(name, "").strip())

    def text(self, name: str, default: str) -> str:
        """Any text."""
        return self.env.get(name, "").strip() or default

    def parsed(self, name: str, default: T, parse: Callable[[str], T], wanted: str) -> T:
        """The result of `parse`; its ValueError becomes a BadSetting that names what is `wanted`."""
        if not self.given(name):
            return default
        raw = self.env[name].strip()
        try:
            return parse(raw)
        except ValueError:
            raise BadSetting(f"{name}={raw!r} cannot be used: it must be {wanted}.") from None

    def whole(self, name: str, default: int, least: int, most: int = 2**53) -> int:
        """A whole number from `least` to `most`."""

        def parse(raw: str) -> int:
            if not re.fullmatch(r"[0-9]{1,16}", raw) or not least <= int(raw) <= most:
                raise ValueError
            return int(raw)

        top = "" if most == 2**53 else f" and at most {most}"
        return self.parsed(name, default, parse, f"a whole number of at least {least}{top}")

    def optional_port(self, name: str, default: int | None) -> int | None:
        """A port, or none."""
        return self.whole(name, default or 0, 1, 65535) or None

    def matching(self, name: str, default: str, pattern: str, wanted: str) -> str:
        """A text that matches the pattern as a whole."""

        def parse(raw: str) -> str:
            if not re.fullmatch(pattern, raw):
                raise ValueError
            return raw

        return self.parsed(name, default, parse, wanted)

    def choice(self, name: str, default: str, choices: set[str]) -> str:
        """One of the choices, in lower case."""

        def parse(raw: str) -> str:
            if raw.lower() not in choices:
                raise ValueError
            return raw.lower()

        return self.parsed(name, default, parse, "one of " + ", ".join(sorted(choices)))

    def url(self, name: str, schemes: set[str]) -> str | None:
        """A URL with one of the schemes, without a trailing slash."""

        def parse(raw: str) -> str | None:
            parts = urlsplit(raw)
            if parts.scheme not in schemes or not (parts.netloc or parts.path):
                raise ValueError
            return raw.rstrip("/")

        return self.parsed(
            name, None, parse, "a URL that begins with " + " or ".join(f"{s}://" for s in sorted(schemes))
        )

    def redis_url(self, name: str, default: str) -> str:
        """The URL of a Redis server, or of its sentinels."""

        def parse(raw: str) -> str:
            parts, url = urlsplit(raw), raw.rstrip("/")
            if Sentinels.parse(url) is None and not (
                parts.scheme in {"redis", "rediss", "unix"} and (parts.netloc or parts.path)
            ):
                raise ValueError
            return url

        return self.parsed(
            name,
            default,
            parse,
            "a URL that begins with redis:// or rediss:// or unix://, or redis+sentinel://host:port,host:port/master",
        )

    def database_url(self, name: str, default: str) -> str:
        """The URL of a database in SQLAlchemy's form."""

        def parse(raw: str) -> str:
            scheme, found, rest = raw.partition("://")
            if not found or not rest:
                raise ValueError
            if scheme in {"postgres", "postgresql", "postgresql+psycopg"}:
                return f"postgresql+psycopg://{rest}"
            if scheme == "sqlite" and rest.strip("/") not in {"", ":memory:"}:
                return raw
            raise ValueError

        return self.parsed(name, default, parse, "postgresql://user:password@host/name or sqlite:///path/to/file.db")

    def safe_auth_mode(self) -> str:
        """`open` only where HOST and PUBLIC_URL can be reached from this machine alone."""
        public = urlsplit(self.text("PUBLIC_URL", "")).hostname or "localhost"
        return (
            "open" if all(map(network_settings.is_loopback, (self.text("HOST", "127.0.0.1"), public))) else "required"
        )

    def secret(self, name: str) -> str | None:
        """A secret; the error does not repeat it."""
        value = self.env.get(name, "").strip()
        if value and len(value.encode()) < 32:
            raise BadSetting(f"{name} cannot be used: it must be at least 32 bytes long.")
        return value or None

    def jwks_url(self, name: str) -> str | None:
        """The URL of a JSON Web Key Set."""
        return self.matching(name, "", *JWKS) or None

    def clamav_url(self, name: str) -> str | None:
        """The address of clamd."""
        return self.matching(name, "", *CLAMAV) or None

    def origins(self, name: str) -> Origins:
        """Allowed origins."""
        return self.parsed(
            name,
            Origins(),
            Origins.parse,
            f"exact origins such as https://images.example, {network_settings.ANY_EXTENSION} or none",
        )

    def networks(self, name: str) -> tuple[IPNetwork, ...]:
        """Addresses and networks."""
        return self.parsed(name, (), network_settings.networks, "addresses and networks, such as 127.0.0.1,10.1.0.0/16")

    def tls(self, certificate: str, key: str) -> TlsFiles | None:
        """Both files, or neither."""
        files = self.text(certificate, ""), self.text(key, "")
        for name, other, value in ((certificate, key, files[1]), (key, certificate, files[0])):
            if value and not self.given(name):
                raise BadSetting(f"{name} is missing: {other} needs it.")
        return TlsFiles(Path(files[0]).resolve(), Path(files[1]).resolve()) if all(files) else None

    def allowlist(self, name: str) -> Allowlist:
        """Hosts and networks that pictures may be fetched from although they are not public."""
        wanted = "host names and networks, such as images.example,10.1.0.0/16"
        return self.parsed(name, Allowlist(), Allowlist.parse, wanted)
