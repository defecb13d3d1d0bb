"""The API's own pages: documents for programs, a page for people that works without a network and without scripts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from flask import Flask, Response, redirect, request
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape
from werkzeug.wrappers import Response as AnyResponse

from app.config import Settings
from app.web import asyncapi, openapi, reference, shapes
from app.web.api import JSON, Api
from app.web.prose import inline, prose
from app.web.status import socket_url

HERE = Path(__file__).parent
POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
STATIC = {"style.css": "text/css; charset=utf-8", "icon.svg": "image/svg+xml"}


def install(app: Flask, api: Api, settings: Settings) -> None:
    """Serve them on `app`."""
    document = openapi.document(api.operations, required=settings.auth_required)
    described = json.dumps(document, ensure_ascii=False)
    page = _templates().get_template("docs.html")

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
        text = page.render(_shown(document, asyncapi.document(settings, url), url))
        return Response(text, content_type="text/html; charset=utf-8", headers={"Content-Security-Policy": POLICY})

    @app.get("/")
    def get_root() -> AnyResponse:
        return redirect("docs")

    for name, content_type in STATIC.items():
        _serve(app, name, content_type)


def _serve(app: Flask, name: str, content_type: str) -> None:
    content = (HERE / "static" / name).read_bytes()

    def get() -> AnyResponse:
        response = Response(content, content_type=content_type, headers={"Cache-Control": "no-cache"})
        response.add_etag()
        return response.make_conditional(request)

    app.add_url_rule(f"/docs/{name}", f"docs/{name}", get)


def _shown(document: dict[str, Any], spoken: dict[str, Any], url: str) -> dict[str, Any]:
    return {
        "openapi": document,
        "asyncapi": spoken,
        "endpoints": reference.endpoints(document, shapes.public_url("")),
        "problems": reference.problems(document),
        "failures": reference.FAILURES,
        "sent": reference.spoken(spoken, "send"),
        "received": reference.spoken(spoken, "receive"),
        "socket_url": url,
    }


def _templates() -> Environment:
    templates = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters |= {"inline": inline, "prose": prose, "breakable": _breakable}
    return templates


def _breakable(name: str) -> Markup:
    """A long name may break behind its dots, slashes and underscores."""
    text = str(escape(name))
    for mark in "./_":
        text = text.replace(mark, f"{mark}<wbr>")
    return Markup(text)  # noqa: S704 - escaped just here
