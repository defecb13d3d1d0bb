"""What every answer tells browsers, so that they do less with it than they would. Data alone."""

from __future__ import annotations

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
HSTS = (
    "Strict-Transport-Security",
    "max-age=31536000",
)  # said over http it would count for nothing (RFC 6797, section 8.1)
