"""Settings: read once from the environment, typed, frozen; a bad value stops the start and names its variable.

Units are in the names: `_ms` milliseconds, `_bytes` bytes, `_px` pixels. Names and defaults of the variables that
the wire contract lists (PORT, WS_PORT, WS_PATH, IMAGE_STORAGE_PATH, MAX_IMAGE_SIZE, REQUEST_TIMEOUT_MS,
DOWNLOAD_TIMEOUT_MS, NODE_ENV) are the contract's.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from app import network_settings
from app.environment import BadSetting, Environment
from app.limits import Limits
from app.network_settings import Allowlist, IPNetwork, Origins, TlsFiles

__all__ = ["BadSetting", "Settings"]


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
    log_format: str
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
        return not self.auth_required and not (
            network_settings.is_loopback(self.host) and network_settings.is_loopback(public)
        )

    @property
    def socket_port(self) -> int:
        """The port that clients are told to open sockets on: WS_PORT where it is served, PORT otherwise."""
        return self.ws_port or self.port

    @classmethod
    def from_env(cls, env: Mapping[str, str] | None = None) -> Settings:
        """Read every setting from `env` (the process's own environment by default).

        Raises BadSetting with one line that names the variable, the value and what is allowed.
        """
        read = Environment(os.environ if env is None else env)
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
            redis_url=read.redis_url("REDIS_URL", "redis://127.0.0.1:6379/0"),
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
            log_format=read.choice("LOG_FORMAT", "auto", {"auto", "text", "json"}),
            auth_required=read.choice("AUTH_MODE", read.safe_auth_mode(), {"open", "required"}) == "required",
            jwt_secret=read.secret("JWT_SECRET"),
            jwks_url=read.jwks_url("JWKS_URL"),
            jwt_issuer=read.text("JWT_ISSUER", "imagefleet"),
            jwt_audience=read.text("JWT_AUDIENCE", "imagefleet"),
            token_lifetime_ms=read.whole("TOKEN_LIFETIME_MS", 3_600_000, 1_000),
            limits=Limits.read(read),
            allowed_origins=read.origins("ALLOWED_ORIGINS"),
            trusted_proxies=read.networks("TRUSTED_PROXIES"),
            tls=read.tls("TLS_CERT", "TLS_KEY"),
            clamav_url=read.clamav_url("CLAMAV_URL"),
        )
