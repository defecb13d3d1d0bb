"""Settings: read once from the environment, typed, frozen; a bad value stops the start and names its variable.

Units are in the names: `_ms` milliseconds, `_bytes` bytes, `_px` pixels. Names and defaults of the variables that
the wire contract lists (PORT, WS_PORT, WS_PATH, IMAGE_STORAGE_PATH, MAX_IMAGE_SIZE, REQUEST_TIMEOUT_MS,
DOWNLOAD_TIMEOUT_MS, NODE_ENV) are the contract's.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from app import network_settings, storage_settings
from app.domain import retention, tiers
from app.domain.retention import Retention
from app.domain.tiers import Tiers
from app.environment import BadSetting, Environment, setting
from app.limits import Limits
from app.network_settings import Allowlist, IPNetwork, Origins, TlsFiles
from app.storage_settings import S3Location

__all__ = ["BadSetting", "Settings"]


# What a value must be: a pattern and its sentence, or the sentence alone.
# http only on this machine: an attacker who can change the response can sign any token
JWKS = (
    r"https://[^\s]+|http://(localhost|127\.[0-9.]+|\[::1\])(:[0-9]+)?/[^\s]*",
    "an address that begins with https://",
)
CLAMAV = (r"unix:///.+|tcp://(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+):[0-9]{1,5}", "tcp://host:port or unix:///path")
CDN = (r"https?://[^\s/?#]+(/[^\s?#]*)?", "a URL that begins with http:// or https://, without ? and #")
ORIGINS = f"exact origins such as https://images.example, {network_settings.ANY_EXTENSION} or none"
NETWORKS = "addresses and networks, such as 127.0.0.1,10.1.0.0/16"
ALLOWLIST = "host names and networks, such as images.example,10.1.0.0/16"


def _port(env: Environment) -> int:
    return env.whole("PORT", 3000, 1, 65535)


def _ws_port(env: Environment) -> int | None:
    """The contract's defaults are 3000 and 3001; a runner of Procfiles that gives PORT alone gets that one port."""
    port = env.whole("WS_PORT", _port(env) if env.given("PORT") else 3001, 1, 65535)
    return None if port == _port(env) else port


def _storage_url(env: Environment) -> S3Location | Path | None:
    try:
        return storage_settings.parse(env.text("STORAGE_URL", "")) if env.given("STORAGE_URL") else None
    except ValueError:  # the error does not repeat it: somebody may have put a secret there
        raise BadSetting(f"STORAGE_URL cannot be used: it must be {storage_settings.WANTED}.") from None


def _storage_path(env: Environment) -> Path:
    url, folder = _storage_url(env), env.text("IMAGE_STORAGE_PATH", "./generated-images")
    return url if isinstance(url, Path) else Path(folder).resolve()


def _metrics_folder(env: Environment) -> Path:
    return Path(env.text("METRICS_FOLDER", "./data/metrics")).resolve()


def _s3_storage(env: Environment) -> S3Location | None:
    url = _storage_url(env)
    return url if isinstance(url, S3Location) else None


def _cdn_base_url(env: Environment) -> str | None:
    """Not the service's own address of pictures: it would redirect to itself for ever."""
    found = env.matching("CDN_BASE_URL", None, *CDN)
    if found is None:
        return None
    own = env.web_url("PUBLIC_URL") or f"http://{env.text('HOST', '127.0.0.1')}:{_port(env)}"
    if network_settings.same_place(found, f"{own}/generated-images"):
        raise BadSetting(
            f"CDN_BASE_URL={found!r} cannot be used: it is where this service serves pictures itself, which would redirect "
            "there again. The origin of the CDN must be the bucket or the folder."
        )
    return found.rstrip("/")


def _request_timeout_ms(env: Environment) -> int:
    return env.whole("REQUEST_TIMEOUT_MS", 300_000, 100)


def _request_max_ms(env: Environment) -> int:
    return env.whole("REQUEST_MAX_MS", 3 * _request_timeout_ms(env), _request_timeout_ms(env))


def _serve_redirect(env: Environment) -> bool:
    return env.choice("SERVE", "proxy", "proxy", "redirect") == "redirect"


def _url_signing_required(env: Environment) -> bool:
    return env.choice("URL_SIGNING", "off", "off", "required") == "required"


def _previews(env: Environment) -> bool:
    return env.choice("PREVIEWS", "asked", "asked", "on") == "on"


def _auto_migrate(env: Environment) -> bool:
    return env.choice("AUTO_MIGRATE", "on", "on", "off") == "on"


def _auth_required(env: Environment) -> bool:
    local = network_settings.is_local_only(env.text("HOST", "127.0.0.1"), env.text("PUBLIC_URL", ""))
    return env.choice("AUTH_MODE", "open" if local else "required", "open", "required") == "required"


def _retention(env: Environment) -> Retention:
    names = env.parsed("TIERS", tiers.DEFAULT, Tiers.parse, tiers.EXAMPLE).by_name
    return env.parsed("RETENTION_DAYS", Retention(), lambda text: Retention.parse(text, names), retention.EXAMPLE)


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of all processes. Build it with `from_env`; tests use `dataclasses.replace`."""

    host: str = setting(Environment.text, "HOST", "127.0.0.1")
    port: int = setting(_port)
    ws_port: int | None = setting(_ws_port)
    ws_path: str = setting(Environment.matching, "WS_PATH", "/ws", r"/[A-Za-z0-9._/-]*", "a path such as /ws")
    environment: str = setting(Environment.text, "NODE_ENV", "production")
    public_url: str | None = setting(Environment.web_url, "PUBLIC_URL")
    database_url: str = setting(Environment.database_url, "DATABASE_URL", "sqlite:///data/imagefleet.db")
    redis_url: str = setting(Environment.redis_url, "REDIS_URL", "redis://127.0.0.1:6379/0")
    secret_key: str | None = setting(Environment.secret, "SECRET_KEY")
    storage_path: Path = setting(_storage_path)
    s3_storage: S3Location | None = setting(_s3_storage)
    metrics_folder: Path = setting(_metrics_folder)
    serve_redirect: bool = setting(_serve_redirect)
    cdn_base_url: str | None = setting(_cdn_base_url)
    url_signing_required: bool = setting(_url_signing_required)
    signed_url_lifetime_ms: int = setting(Environment.whole, "SIGNED_URL_LIFETIME_MS", 604_800_000, 1_000)
    max_image_bytes: int = setting(Environment.whole, "MAX_IMAGE_SIZE", 10_485_760, 1)
    max_image_pixels: int = setting(Environment.whole, "MAX_IMAGE_PIXELS", 40_000_000, 1)
    max_image_side: int = setting(Environment.whole, "MAX_IMAGE_SIDE", 16_384, 1)
    image_source_allowlist: Allowlist = setting(
        Environment.parsed, "IMAGE_SOURCE_ALLOWLIST", Allowlist(), Allowlist.parse, ALLOWLIST
    )
    webhook_allowlist: Allowlist = setting(
        Environment.parsed, "WEBHOOK_ALLOWLIST", Allowlist(), Allowlist.parse, ALLOWLIST
    )
    webhook_timeout_ms: int = setting(Environment.whole, "WEBHOOK_TIMEOUT_MS", 15_000, 100, 60_000)
    webhooks_at_once: int = setting(Environment.whole, "WEBHOOKS_AT_ONCE", 32, 1, 256)
    webhooks_per_host: int = setting(Environment.whole, "WEBHOOKS_PER_HOST", 8, 1)
    request_timeout_ms: int = setting(_request_timeout_ms)
    request_max_ms: int = setting(_request_max_ms)
    download_timeout_ms: int = setting(Environment.whole, "DOWNLOAD_TIMEOUT_MS", 60_000, 100)
    downloads_at_once: int = setting(Environment.whole, "DOWNLOADS_AT_ONCE", 32, 1, 256)
    downloads_per_extension: int = setting(Environment.whole, "DOWNLOADS_PER_EXTENSION", 4, 1)
    downloads_per_host: int = setting(Environment.whole, "DOWNLOADS_PER_HOST", 8, 1)
    max_attempts: int = setting(Environment.whole, "MAX_ATTEMPTS", 3, 1, 100)
    max_download_attempts: int = setting(Environment.whole, "MAX_DOWNLOAD_ATTEMPTS", 4, 1, 100)
    heartbeat_timeout_ms: int = setting(Environment.whole, "HEARTBEAT_TIMEOUT_MS", 60_000, 500)
    reconnect_grace_ms: int = setting(Environment.whole, "RECONNECT_GRACE_MS", 10_000, 0)
    offer_timeout_ms: int = setting(Environment.whole, "OFFER_TIMEOUT_MS", 5_000, 100)
    authentication_timeout_ms: int = setting(Environment.whole, "AUTHENTICATION_TIMEOUT_MS", 10_000, 100)
    no_extension_timeout_ms: int = setting(Environment.whole, "NO_EXTENSION_TIMEOUT_MS", 300_000, 0)
    queue_timeout_ms: int = setting(Environment.whole, "QUEUE_TIMEOUT_MS", 86_400_000, 1)
    idempotency_key_ttl_ms: int = setting(Environment.whole, "IDEMPOTENCY_KEY_TTL_MS", 86_400_000, 1_000)
    previews: bool = setting(_previews)
    input_ttl_ms: int = setting(Environment.whole, "INPUT_TTL_MS", 86_400_000, 1_000)
    openai_wait_ms: int = setting(Environment.whole, "OPENAI_WAIT_MS", 590_000, 1)
    hub_timeout_ms: int = setting(Environment.whole, "HUB_TIMEOUT_MS", 10_000, 1_000)
    sweep_interval_ms: int = setting(Environment.whole, "SWEEP_INTERVAL_MS", 2_000, 100, 60_000)
    max_message_bytes: int = setting(Environment.whole, "MAX_MESSAGE_BYTES", 1_048_576, 16_384)
    max_body_bytes: int = setting(Environment.whole, "MAX_BODY_BYTES", 131_072, 1_024)
    batch_max_items: int = setting(Environment.whole, "BATCH_MAX_ITEMS", 10_000, 1, 1_000_000)
    batch_max_bytes: int = setting(Environment.whole, "BATCH_MAX_BYTES", 20_971_520, 1_024)
    tiers: Tiers = setting(Environment.parsed, "TIERS", tiers.DEFAULT, Tiers.parse, tiers.EXAMPLE)
    retention: Retention = setting(_retention)
    queue_age_ms: int = setting(Environment.whole, "QUEUE_AGE_MS", 3_600_000, 1_000)
    max_waiting: int = setting(Environment.whole, "MAX_WAITING", 100_000, 1)
    min_free_disk_bytes: int = setting(Environment.whole, "MIN_FREE_DISK", 104_857_600, 0)
    web_processes: int = setting(Environment.whole, "WEB_PROCESSES", 1, 1, 256)
    worker_processes: int = setting(Environment.whole, "WORKER_PROCESSES", 2, 1, 256)
    auto_migrate: bool = setting(_auto_migrate)
    log_level: str = setting(Environment.choice, "LOG_LEVEL", "info", "debug", "info", "warning", "error")
    log_format: str = setting(Environment.choice, "LOG_FORMAT", "auto", "auto", "text", "json")
    auth_required: bool = setting(_auth_required)
    jwt_secret: str | None = setting(Environment.secret, "JWT_SECRET")
    jwks_url: str | None = setting(Environment.matching, "JWKS_URL", None, *JWKS)
    jwt_issuer: str = setting(Environment.text, "JWT_ISSUER", "imagefleet")
    jwt_audience: str = setting(Environment.text, "JWT_AUDIENCE", "imagefleet")
    token_lifetime_ms: int = setting(Environment.whole, "TOKEN_LIFETIME_MS", 3_600_000, 1_000)
    limits: Limits = setting(Environment.all_of, Limits)
    allowed_origins: Origins = setting(Environment.parsed, "ALLOWED_ORIGINS", Origins(), Origins.parse, ORIGINS)
    trusted_proxies: tuple[IPNetwork, ...] = setting(
        Environment.parsed, "TRUSTED_PROXIES", (), network_settings.networks, NETWORKS
    )
    tls: TlsFiles | None = setting(Environment.tls, "TLS_CERT", "TLS_KEY")
    clamav_url: str | None = setting(Environment.matching, "CLAMAV_URL", None, *CLAMAV)

    @property
    def is_sqlite(self) -> bool:
        """True if the database is one SQLite file on this machine."""
        return self.database_url.startswith("sqlite")

    @property
    def open_to_all(self) -> bool:
        """True if callers from other machines are served without a credential."""
        return not self.auth_required and not network_settings.is_local_only(self.host, self.public_url or "")

    @property
    def socket_port(self) -> int:
        """The port for WebSockets that clients are given: WS_PORT if that is a port of its own, PORT otherwise."""
        return self.ws_port or self.port

    @classmethod
    def from_env(cls, env: Mapping[str, str] | None = None) -> Self:
        """Read every setting from `env` (the process's own environment by default).

        Raises BadSetting with one line that names the variable, the value and what is allowed.
        """
        return Environment(os.environ if env is None else env).all_of(cls)
