"""Settings: read once from the environment, typed, frozen; a bad value stops the start and names its variable.

Units are in the names: `_ms` milliseconds, `_bytes` bytes, `_px` pixels. Names and defaults of the variables that
the wire contract lists (PORT, WS_PORT, WS_PATH, IMAGE_STORAGE_PATH, MAX_IMAGE_SIZE, REQUEST_TIMEOUT_MS,
DOWNLOAD_TIMEOUT_MS, NODE_ENV) are the contract's.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from app import edges
from app.edges import Allowlist, IPNetwork, Origins, TlsFiles
from app.limits import Limits

T = TypeVar("T")

# http only on this machine: whoever can change what is fetched can sign what they like
JWKS = (
    r"https://[^\s]+|http://(localhost|127\.[0-9.]+|\[::1\])(:[0-9]+)?/[^\s]*",
    "an address that begins with https://",
)
CLAMAV = (r"unix:///.+|tcp://(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+):[0-9]{1,5}", "tcp://host:port or unix:///path")


class BadSetting(Exception):
    """A variable of the environment holds something that cannot be used; the text names it and says what would do."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything the processes are told from outside. Build it with `from_env`; tests use `dataclasses.replace`."""

    host: str
    port: int
    ws_port: int | None
    ws_path: str
    environment: str
    public_url: str | None
    database_url: str
    redis_url: str
    secret_key: str | None
    storage_path: Path
    max_image_bytes: int
    max_image_pixels: int
    image_source_allowlist: Allowlist
    request_timeout_ms: int
    request_max_ms: int
    download_timeout_ms: int
    max_attempts: int
    max_download_attempts: int
    heartbeat_timeout_ms: int
    reconnect_grace_ms: int
    offer_timeout_ms: int
    authentication_timeout_ms: int
    no_extension_timeout_ms: int
    queue_timeout_ms: int
    hub_timeout_ms: int
    sweep_interval_ms: int
    max_message_bytes: int
    max_body_bytes: int
    max_waiting: int
    min_free_disk_bytes: int
    web_processes: int
    worker_processes: int
    auto_migrate: bool
    log_level: str
    auth_required: bool
    jwt_secret: str | None
    jwks_url: str | None
    jwt_issuer: str
    jwt_audience: str
    token_lifetime_ms: int
    limits: Limits
    allowed_origins: Origins
    trusted_proxies: tuple[IPNetwork, ...]
    tls: TlsFiles | None
    clamav_url: str | None

    @property
    def is_sqlite(self) -> bool:
        """True where the database is one SQLite file on this machine."""
        return self.database_url.startswith("sqlite")

    @property
    def open_to_all(self) -> bool:
        """True where others than this machine are served without showing who they are."""
        public = urlsplit(self.public_url or "").hostname or "localhost"
        return not self.auth_required and not (edges.is_loopback(self.host) and edges.is_loopback(public))

    @property
    def socket_port(self) -> int:
        """The port that clients are told to open sockets on: WS_PORT where it is served, PORT otherwise."""
        return self.ws_port or self.port

    @classmethod
    def from_env(cls, env: Mapping[str, str] | None = None) -> Settings:
        """Read every setting from `env` (the process's own environment by default).

        Raises BadSetting with one line that names the variable, the value and what is allowed.
        """
        read = _Reader(os.environ if env is None else env)
        port = read.whole("PORT", 3000, 1, 65535)
        # The contract's defaults are 3000 and 3001; a runner of Procfiles that gives PORT alone gets that one port.
        ws_port = read.optional_port("WS_PORT", None if read.given("PORT") else 3001)
        request_timeout_ms = read.whole("REQUEST_TIMEOUT_MS", 300_000, 100)
        return cls(
            host=read.text("HOST", "127.0.0.1"),
            port=port,
            ws_port=None if ws_port == port else ws_port,
            ws_path=read.matching("WS_PATH", "/ws", r"/[A-Za-z0-9._/-]*", "a path such as /ws"),
            environment=read.text("NODE_ENV", "production"),
            public_url=read.url("PUBLIC_URL", {"http", "https"}),
            database_url=read.database_url("DATABASE_URL", "sqlite:///data/imagefleet.db"),
            redis_url=read.url("REDIS_URL", {"redis", "rediss", "unix"}) or "redis://127.0.0.1:6379/0",
            secret_key=read.secret("SECRET_KEY"),
            storage_path=Path(read.text("IMAGE_STORAGE_PATH", "./generated-images")).resolve(),
            max_image_bytes=read.whole("MAX_IMAGE_SIZE", 10_485_760, 1),
            max_image_pixels=read.whole("MAX_IMAGE_PIXELS", 40_000_000, 1),
            image_source_allowlist=read.allowlist("IMAGE_SOURCE_ALLOWLIST"),
            request_timeout_ms=request_timeout_ms,
            request_max_ms=read.whole("REQUEST_MAX_MS", 3 * request_timeout_ms, request_timeout_ms),
            download_timeout_ms=read.whole("DOWNLOAD_TIMEOUT_MS", 60_000, 100),
            max_attempts=read.whole("MAX_ATTEMPTS", 3, 1, 100),
            max_download_attempts=read.whole("MAX_DOWNLOAD_ATTEMPTS", 4, 1, 100),
            heartbeat_timeout_ms=read.whole("HEARTBEAT_TIMEOUT_MS", 60_000, 500),
            reconnect_grace_ms=read.whole("RECONNECT_GRACE_MS", 10_000, 0),
            offer_timeout_ms=read.whole("OFFER_TIMEOUT_MS", 5_000, 100),
            authentication_timeout_ms=read.whole("AUTHENTICATION_TIMEOUT_MS", 10_000, 100),
            no_extension_timeout_ms=read.whole("NO_EXTENSION_TIMEOUT_MS", 300_000, 0),
            queue_timeout_ms=read.whole("QUEUE_TIMEOUT_MS", 86_400_000, 1),
            hub_timeout_ms=read.whole("HUB_TIMEOUT_MS", 10_000, 1_000),
            sweep_interval_ms=read.whole("SWEEP_INTERVAL_MS", 2_000, 100, 60_000),
            max_message_bytes=read.whole("MAX_MESSAGE_BYTES", 1_048_576, 16_384),
            max_body_bytes=read.whole("MAX_BODY_BYTES", 131_072, 1_024),
            max_waiting=read.whole("MAX_WAITING", 100_000, 1),
            min_free_disk_bytes=read.whole("MIN_FREE_DISK", 104_857_600, 0),
            web_processes=read.whole("WEB_PROCESSES", 1, 1, 256),
            worker_processes=read.whole("WORKER_PROCESSES", 2, 1, 256),
            auto_migrate=read.choice("AUTO_MIGRATE", "on", {"on", "off"}) == "on",
            log_level=read.choice("LOG_LEVEL", "info", {"debug", "info", "warning", "error"}),
            auth_required=read.choice("AUTH_MODE", read.safe_auth_mode(), {"open", "required"}) == "required",
            jwt_secret=read.secret("JWT_SECRET"),
            jwks_url=read.matching("JWKS_URL", "", *JWKS) or None,
            jwt_issuer=read.text("JWT_ISSUER", "imagefleet"),
            jwt_audience=read.text("JWT_AUDIENCE", "imagefleet"),
            token_lifetime_ms=read.whole("TOKEN_LIFETIME_MS", 3_600_000, 1_000),
            limits=Limits.read(read),
            allowed_origins=read.origins("ALLOWED_ORIGINS"),
            trusted_proxies=read.networks("TRUSTED_PROXIES"),
            tls=read.tls("TLS_CERT", "TLS_KEY"),
            clamav_url=read.matching("CLAMAV_URL", "", *CLAMAV) or None,
        )


class _Reader:
    """Reads one variable at a time; an empty value counts as absent."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self.env = env

    def given(self, name: str) -> bool:
        return bool(self.env.get(name, "").strip())

    def text(self, name: str, default: str) -> str:
        return self.env.get(name, "").strip() or default

    def parsed(self, name: str, default: T, parse: Callable[[str], T], wanted: str) -> T:
        if not self.given(name):
            return default
        raw = self.env[name].strip()
        try:
            return parse(raw)
        except ValueError:
            raise BadSetting(f"{name}={raw!r} cannot be used: it must be {wanted}.") from None

    def whole(self, name: str, default: int, least: int, most: int = 2**53) -> int:
        def parse(raw: str) -> int:
            if not re.fullmatch(r"[0-9]{1,16}", raw) or not least <= int(raw) <= most:
                raise ValueError
            return int(raw)

        top = "" if most == 2**53 else f" and at most {most}"
        return self.parsed(name, default, parse, f"a whole number of at least {least}{top}")

    def optional_port(self, name: str, default: int | None) -> int | None:
        return self.whole(name, default or 0, 1, 65535) or None

    def matching(self, name: str, default: str, pattern: str, wanted: str) -> str:
        def parse(raw: str) -> str:
            if not re.fullmatch(pattern, raw):
                raise ValueError
            return raw

        return self.parsed(name, default, parse, wanted)

    def choice(self, name: str, default: str, choices: set[str]) -> str:
        def parse(raw: str) -> str:
            if raw.lower() not in choices:
                raise ValueError
            return raw.lower()

        return self.parsed(name, default, parse, "one of " + ", ".join(sorted(choices)))

    def url(self, name: str, schemes: set[str]) -> str | None:
        def parse(raw: str) -> str | None:
            parts = urlsplit(raw)
            if parts.scheme not in schemes or not (parts.netloc or parts.path):
                raise ValueError
            return raw.rstrip("/")

        return self.parsed(
            name, None, parse, "a URL that begins with " + " or ".join(f"{s}://" for s in sorted(schemes))
        )

    def database_url(self, name: str, default: str) -> str:
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
        """open only where nobody but this machine is served, as far as can be seen from HOST and PUBLIC_URL."""
        public = urlsplit(self.text("PUBLIC_URL", "")).hostname or "localhost"
        return "open" if all(map(edges.is_loopback, (self.text("HOST", "127.0.0.1"), public))) else "required"

    def secret(self, name: str) -> str | None:
        value = self.env.get(name, "").strip()
        if value and len(value.encode()) < 32:
            raise BadSetting(f"{name} cannot be used: it must be at least 32 bytes long.")
        return value or None

    def origins(self, name: str) -> Origins:
        return self.parsed(
            name,
            Origins(),
            Origins.parse,
            f"exact origins such as https://images.example, {edges.ANY_EXTENSION} or none",
        )

    def networks(self, name: str) -> tuple[IPNetwork, ...]:
        return self.parsed(name, (), edges.networks, "addresses and networks, such as 127.0.0.1,10.1.0.0/16")

    def tls(self, certificate: str, key: str) -> TlsFiles | None:
        files = self.text(certificate, ""), self.text(key, "")
        for name, other, value in ((certificate, key, files[1]), (key, certificate, files[0])):
            if value and not self.given(name):
                raise BadSetting(f"{name} is missing: {other} is of no use without it.")
        return TlsFiles(Path(files[0]).resolve(), Path(files[1]).resolve()) if all(files) else None

    def allowlist(self, name: str) -> Allowlist:
        wanted = "host names and networks, such as images.example,10.1.0.0/16"
        return self.parsed(name, Allowlist(), Allowlist.parse, wanted)
