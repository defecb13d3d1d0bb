"""Where callers reach this service."""

from flask import current_app, request


def public_url(path: str) -> str:
    """The address of one of this service's paths: below PUBLIC_URL if that is set, otherwise as the caller reached it."""
    base: str = current_app.config["PUBLIC_URL"] or request.url_root.rstrip("/")
    return base + path
