"""Redirects to where pictures can be had directly: a CDN, or the storage."""

from flask import Response

from app.services.ports import Ports
from app.web.picture_access import Permission

CROSS_ORIGIN = {
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cross-Origin-Resource-Policy": "cross-origin",
}
PRESIGNED_S = 3_600  # how long an address that the storage signs is valid
CACHED_S = 1_800  # how long a redirect may be cached: what it leads to must still be valid for a while then


def elsewhere(ports: Ports, name: str, permission: Permission) -> Response | None:
    """A redirect to the file; None if it is served here. Raises PictureError."""
    settings = ports.settings
    if settings.cdn_base_url is not None:
        return _redirect(f"{settings.cdn_base_url}/{name}", permission.redirect_caching(CACHED_S, private=False))
    if not settings.serve_redirect:
        return None
    lifetime_s = PRESIGNED_S if permission.valid_s is None else max(1, min(PRESIGNED_S, permission.valid_s))
    url = ports.store.presigned_url(name, lifetime_s)
    if url is None:
        return None
    return _redirect(url, permission.redirect_caching(lifetime_s // 2, private=True))


def _redirect(url: str, caching: dict[str, str]) -> Response:
    return Response(status=302, headers={**CROSS_ORIGIN, **caching, "Location": url})
