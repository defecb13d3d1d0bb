"""Short ways: what most requests are, answered before Flask is asked.

Flask's way to a view and back, with the hooks around it, takes as long as most views. What is out of the ordinary goes that way as
ever, and so does whatever goes wrong: it takes along what that was, for problems are put into words in one place (`errors.py`).
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol, TypeVar

from pydantic import BaseModel

from app import logs
from app.web import request_context
from app.web.api import JSON, as_text
from app.web.limits import headers_of

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

Body = TypeVar("Body")


class Way(Protocol[Body]):
    """The short way of one operation."""

    method: str

    def asked(self, environ: WSGIEnvironment) -> Body | None:
        """What is asked for in the plainest of ways; None where Flask has to look."""

    def answer(self, asked: Body, environ: WSGIEnvironment) -> BaseModel:
        """What is answered. Raises what is to be put into words."""


def taken(way: Way[Body], environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes] | None:
    """The body of the answer; None where Flask is to be asked."""
    if environ["REQUEST_METHOD"] != way.method or (asked := way.asked(environ)) is None:
        return None
    began = time.monotonic()
    environ[request_context.GIVEN] = known = request_context.correlation_id(environ)  # Flask goes on with the same
    with logs.about(known):
        try:
            body = as_text(way.answer(asked, environ)).encode()
        except Exception as problem:  # noqa: BLE001 - it is raised again where all of them are put into words
            environ[request_context.PROBLEM] = problem
            return None
        said = [
            ("Content-Type", JSON),
            ("Content-Length", str(len(body))),
            *headers_of(environ),
            (request_context.HEADER, known),
        ]
        start_response("200 OK", said)
        request_context.tell(way.method, environ["PATH_INFO"], 200, began)
    return [body]


def is_plain(environ: WSGIEnvironment) -> bool:
    """True where there is neither a query nor a page of another origin, and it is said whom the request is for."""
    return not environ["QUERY_STRING"] and "HTTP_ORIGIN" not in environ and "HTTP_HOST" in environ
