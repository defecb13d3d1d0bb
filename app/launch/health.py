"""Whether the web process answers, over TLS where it serves that."""

import asyncio
import ssl

from app.config import Settings

ANSWER_S = 2.0
EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 - compared, not bound


def local_host(settings: Settings) -> str:
    """The address by which this machine reaches what listens on HOST."""
    return EVERYWHERE.get(settings.host, settings.host)


def local_authority(settings: Settings, port: int) -> str:
    """The same with a port, as in a URL."""
    host = local_host(settings)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def scheme(settings: Settings, plain: str = "http") -> str:
    """What addresses begin with: `plain`, or with an s where TLS_CERT is served."""
    return plain if settings.tls is None else f"{plain}s"


def _tls(settings: Settings) -> ssl.SSLContext | None:
    """Without verification: whether our own process runs does not depend on its certificate."""
    if settings.tls is None:
        return None
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


async def is_healthy(settings: Settings) -> bool:
    """True where GET /health is answered with 200 within `ANSWER_S` seconds."""
    request = f"GET /health HTTP/1.1\r\nHost: {local_authority(settings, settings.port)}\r\nConnection: close\r\n\r\n"
    try:
        async with asyncio.timeout(ANSWER_S):
            reader, writer = await asyncio.open_connection(local_host(settings), settings.port, ssl=_tls(settings))
            try:
                writer.write(request.encode())
                return (await reader.readline()).split()[1:2] == [b"200"]
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return False
