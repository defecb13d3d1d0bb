"""Where the service is reached: by this machine, and by others."""

from app import network_settings
from app.config import Settings

EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 - compared, not bound


def local_host(settings: Settings) -> str:
    """The address by which this machine reaches what listens on HOST."""
    return EVERYWHERE.get(settings.host, settings.host)


def local_authority(settings: Settings, port: int) -> str:
    """The same with a port, as it stands in a URL."""
    host = local_host(settings)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def scheme(settings: Settings, plain: str = "http") -> str:
    """What addresses begin with: `plain`, or with an s if TLS_CERT is set."""
    return plain if settings.tls is None else f"{plain}s"


def service_address(settings: Settings) -> str:
    """PUBLIC_URL if it is set, else how this machine reaches the service."""
    loopback = network_settings.is_loopback(local_host(settings))
    authority = f"localhost:{settings.port}" if loopback else local_authority(settings, settings.port)
    return settings.public_url or f"{scheme(settings)}://{authority}"
