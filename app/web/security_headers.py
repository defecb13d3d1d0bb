"""The default headers on every response of the application, errors included."""

from flask import Flask, Response, request

from app.web.default_headers import HEADERS, HSTS


def install(app: Flask) -> None:
    """Add the headers that a view has not set itself, as the pages and the images do."""

    @app.after_request
    def _add_headers(response: Response) -> Response:
        present = {name.lower() for name, _ in response.headers}
        defaults = HEADERS | HSTS if request.is_secure else HEADERS
        response.headers.extend({name: value for name, value in defaults.items() if name.lower() not in present})
        return response
