"""The default headers on every answer of the application, errors included."""

from __future__ import annotations

from flask import Flask, Response, request

from app.web.default_headers import HEADERS, HSTS


def install(app: Flask) -> None:
    """Add the headers that a view has not set itself, as the pages and the pictures do."""

    @app.after_request
    def _add_headers(response: Response) -> Response:
        for name, value in (HEADERS | HSTS if request.is_secure else HEADERS).items():
            response.headers.setdefault(name, value)
        return response
