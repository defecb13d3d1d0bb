"""Whether the web process answers, over TLS if it serves that."""

import asyncio
import ssl

from app.config import Settings
from app.service_address import local_authority, local_host

ANSWER_S = 2.0


def _tls(settings: Settings) -> ssl.SSLContext | None:
    """Without verification: whether our own process runs does not depend on its certificate."""
    if settings.tls is None:
        return None
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


async def is_healthy(settings: Settings) -> bool:
    """True if GET /health is answered with 200 within `ANSWER_S` seconds: the database works, too."""
    return await _is_answered(settings, "GET")


async def answers(settings: Settings) -> bool:
    """True if a web process answers within `ANSWER_S` seconds, whatever else works."""
    return await _is_answered(settings, "OPTIONS")


async def _is_answered(settings: Settings, method: str) -> bool:
    authority = local_authority(settings, settings.port)
    request = f"{method} /health HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n"
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
