"""Headers that tell browsers to do less with an answer than they would."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from app.web.browsers import HEADERS, HSTS

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_SAID = [(name.lower(), (name, value)) for name, value in HEADERS.items()]
_SAID_OVER_TLS = [*_SAID, (HSTS[0].lower(), HSTS)]


class BrowserHeaders:
    """A WSGI middleware that puts them on every answer. One that says otherwise (pages, pictures) keeps what it says.

    Flask would look through all headers of an answer again for each that is added.
    """

    def __init__(self, app: WSGIApplication) -> None:
        self.app = app

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        wanted = _SAID_OVER_TLS if environ["wsgi.url_scheme"] in {"https", "wss"} else _SAID

        def start(status: str, headers: list[tuple[str, str]], *error: Any) -> Callable[[bytes], object]:
            said = {name.lower() for name, _ in headers}
            headers.extend(header for name, header in wanted if name not in said)
            return start_response(status, headers, *error)

        return self.app(environ, start)
