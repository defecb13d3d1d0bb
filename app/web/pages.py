"""The API's own pages: documents for programs, a page for people that works without a network and without scripts."""

from __future__ import annotations

import json
from typing import Any

from flask import Flask, Response, redirect
from werkzeug.wrappers import Response as AnyResponse

from app.config import Settings
from app.web import asyncapi, openapi, pages_base, presenters, reference
from app.web.api import JSON, Api
from app.web.status import socket_url


def install(app: Flask, api: Api, settings: Settings) -> None:
    """Serve them on `app`."""
    document = openapi.document(api.operations, required=settings.auth_required)
    described = json.dumps(document, ensure_ascii=False)
    docs = pages_base.templates().get_template("docs.html")

    @app.get("/openapi.json")
    def get_openapi() -> Response:
        return Response(described, content_type=JSON)

    @app.get("/asyncapi.json")
    def get_asyncapi() -> Response:
        spoken = asyncapi.document(settings, socket_url(settings))
        return Response(json.dumps(spoken, ensure_ascii=False), content_type=JSON)

    @app.get("/docs")
    def get_docs() -> Response:
        url = socket_url(settings)
        return pages_base.page(docs.render(_shown(document, asyncapi.document(settings, url), url)))

    @app.get("/")
    def get_root() -> AnyResponse:
        return redirect("docs")

    for name in ("style.css", "icon.svg"):
        pages_base.serve(app, f"/docs/{name}", name)


def _shown(document: dict[str, Any], spoken: dict[str, Any], url: str) -> dict[str, Any]:
    return {
        "openapi": document,
        "asyncapi": spoken,
        "endpoints": reference.endpoints(document, presenters.public_url("")),
        "problems": reference.problems(document),
        "failures": reference.FAILURES,
        "sent": reference.spoken(spoken, "send"),
        "received": reference.spoken(spoken, "receive"),
        "socket_url": url,
    }
