"""Headers that tell browsers and caches to do less with an answer than they would."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from app.web.browsers import HEADERS, HSTS

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

_SAID = [(name.lower(), (name, value)) for name, value in HEADERS.items()]
_SAID_OVER_TLS = [*_SAID, (HSTS[0].lower(), HSTS)]


def telling_browsers(environ: WSGIEnvironment, start_response: StartResponse) -> StartResponse:
    """The same with these headers on every answer. One that says otherwise (the pages, the pictures) keeps what it says.

    They are added where WSGI has a plain list: Flask looks through all headers of an answer again for each that is added.
    """

    def start(status: str, headers: list[tuple[str, str]], *error: Any) -> Callable[[bytes], object]:
        said = {name.lower() for name, _ in headers}
        wanted = _SAID_OVER_TLS if environ["wsgi.url_scheme"] in {"https", "wss"} else _SAID
        headers.extend(header for name, header in wanted if name not in said)
        return start_response(status, headers, *error)

    return start
