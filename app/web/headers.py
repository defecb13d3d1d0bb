"""Headers that tell browsers to do less with an answer than they would."""

from __future__ import annotations

from flask import Flask, Response, request

HSTS_S = 31_536_000

# An answer that says otherwise (the pages, the pictures) keeps what it says.
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


def install(app: Flask) -> None:
    """Put them on every answer."""
    app.after_request(_add)


def _add(response: Response) -> Response:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    if request.is_secure:  # said over http it would count for nothing (RFC 6797, section 8.1)
        response.headers.setdefault("Strict-Transport-Security", f"max-age={HSTS_S}")
    return response
