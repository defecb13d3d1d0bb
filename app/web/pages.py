"""The API's documents, and the pages that show them: Swagger UI for HTTP, one of our own for the socket."""

import json
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from flask import Flask, Response, redirect
from werkzeug.wrappers import Response as AnyResponse

from app.config import Settings
from app.domain.close_codes import CloseCode
from app.web import asyncapi, openapi, pages_base
from app.web.api import JSON, Api
from app.web.field_table import fields
from app.web.pages_base import SELF
from app.web.public_url import public_url
from app.web.status import socket_url

# Swagger UI has its icons in its style sheet, and shows pictures that it received as blobs.
DOCS_POLICY = pages_base.policy(script_src=SELF, style_src=SELF, img_src="'self' data: blob:", connect_src=SELF)
PLAIN_POLICY = pages_base.policy(style_src=SELF, img_src=SELF)


def install(app: Flask, api: Api, settings: Settings) -> None:
    """Serve the documents and the pages on `app`."""
    pages_base.install(app)

    @cache  # created at its first request, so that no start of a process waits for it
    def openapi_document() -> dict[str, Any]:
        return openapi.document(api.operations, required=settings.auth_required)

    @app.get("/")
    def get_root() -> AnyResponse:
        return redirect("docs")

    @app.get("/openapi.json")
    def get_openapi() -> Response:
        return _json({**openapi_document(), "servers": [{"url": urlsplit(public_url("")).path or "/"}]})

    @app.get("/asyncapi.json")
    def get_asyncapi() -> Response:
        return _json(asyncapi.document(settings, socket_url(settings)))

    @app.get("/docs")
    def get_docs() -> Response:
        return pages_base.page("docs.html", DOCS_POLICY, version=openapi.INFO["version"])

    @app.get("/docs/socket")
    def get_socket_docs() -> Response:
        url = socket_url(settings)
        return pages_base.page(
            "socket.html",
            PLAIN_POLICY,
            url=url,
            asyncapi=asyncapi.document(settings, url),
            introduction=asyncapi.introduction(settings),
            close_codes={int(code): code.meaning for code in CloseCode},
            fields=fields,
        )


def _json(document: dict[str, Any]) -> Response:
    return Response(json.dumps(document, ensure_ascii=False), content_type=JSON)
