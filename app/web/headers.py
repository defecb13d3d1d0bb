"""Headers that tell browsers to do less with an answer than they would."""

from __future__ import annotations

from flask import Flask, Response, request

from app.web.browsers import HEADERS, HSTS


def install(app: Flask) -> None:
    """Put them on every answer."""
    app.after_request(_add)


def _add(response: Response) -> Response:
    """An answer that says otherwise (the pages, the pictures) keeps what it says."""
    said = {name.lower() for name, _ in response.headers}
    for name, value in HEADERS.items():
        if name.lower() not in said:
            response.headers.add(name, value)  # setdefault looks through all of them again, for each
    if request.is_secure:
        response.headers.setdefault(*HSTS)
    return response
